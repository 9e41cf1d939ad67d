/** The pages that are written from code: `npm run docs` writes them, a test compares them. */
import { renderApiPage } from '../../src/http/api-page.ts'
import { renderTelemetryPage } from '../../src/telemetry/page.ts'
import { renderConfigurationPage, renderSample } from '../../src/config/page.ts'

/** Path in the repository → its text. */
export const generatedPages: Readonly<Record<string, () => string>> = {
  'config/berth.yaml': renderSample,
  'docs/http-api.md': renderApiPage,
  'docs/configuration.md': renderConfigurationPage,
  'docs/telemetry.md': renderTelemetryPage,
}
