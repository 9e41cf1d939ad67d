/** The pages that are written from code: `npm run docs` writes them, a test compares them. */
import { renderConfigurationPage, renderSample } from '../../src/config/page.ts'

/** Path in the repository → its text. */
export const generatedPages: Readonly<Record<string, () => string>> = {
  'config/berth.yaml': renderSample,
  'docs/configuration.md': renderConfigurationPage,
}
