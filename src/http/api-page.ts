/** Writes `docs/http-api.md` from the table of routes and the table of errors; a test compares the two. */
import { errorTable } from '../oci/errors.ts'
import { routes } from './routes.ts'

function endpointRow({ id, methods, path, action, doc }: (typeof routes)[number]): string {
  // `*name` and `:digest` are how the router writes what the specification writes `<name>` and `<digest>`.
  const readable = path.replaceAll(/[*:](\w+)/g, '<$1>').replace('{/}', '/')
  return `| ${id} | ${methods.join(', ')} | \`${readable}\` | ${action} | ${doc} |`
}

/** The whole page, in Markdown. */
export function renderApiPage(): string {
  const errors = Object.entries(errorTable).map(([code, { status, meaning }]) => `| ${code} | ${status} | ${meaning} |`)
  return [
    '# HTTP API',
    '',
    '<!-- Written by `npm run docs` from src/http/routes.ts and src/oci/errors.ts; do not edit. -->',
    '',
    'The OCI distribution specification v1.1.1 and what its main branch adds. Ids are those of its endpoint table. A path that is',
    'here with another method answers 405 with `Allow`; every other path answers 404.',
    '',
    '## Endpoints',
    '',
    '| id | methods | path | needs | what it does |',
    '|---|---|---|---|---|',
    ...routes.map(endpointRow),
    '',
    '## Errors',
    '',
    'Every error has a JSON body: `{"errors":[{"code":"…","message":"…","detail":…}]}`. `X-Request-Id` names the request in the log.',
    '',
    '| code | status | meaning |',
    '|---|---|---|',
    ...errors,
    '',
  ].join('\n')
}
