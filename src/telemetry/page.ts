/** Writes `docs/telemetry.md`: every metric, every line of the log, and their fields; tests compare it with the code. */
import { requestLineFields } from './access-log.ts'
import { lineFields, logMessages } from './lines.ts'
import { createMetrics, type MetricDescription } from './metrics.ts'

const intro = `# Metrics and log

<!-- Written by \`npm run docs\` from src/telemetry/; do not edit. -->

## Metrics

\`/metrics\` on the listener of the pulse (\`pulse.address\`, \`pulse.port\`) answers in the text format of Prometheus. All values are in base units: seconds,
bytes. The last column says how the values of several worker processes become one.
`

const logIntro = `## Log

One line per event on the standard output: JSON, or readable text on a terminal (\`log.format\`). Every line has \`time\`, \`level\` and \`message\`; a
field that does not apply is left out. What is a secret by its name (\`authorization\`, \`token\`, \`password\` and so on) or by its look (credentials of a
header or URL, tokens, signatures, \`_state\` of an upload) is written as \`(secret)\`, in every field, message and stack.

### Requests

\`"message":"request"\`: one line when the answer to a request ended, level \`info\`. \`log.sampleRequests\` leaves out lines of requests that went well;
those with a status from 400, and those that broke off, are always written. These lines wait up to \`log.flushInterval\` to be written together, all
others are written at once. A TLS client at this plain port is a line of level \`debug\`: docker and containerd try TLS first.
`

function metricRow({ name, type, labels, help, aggregator }: MetricDescription): string {
  return `| \`${name}\` | ${type} | ${labels.join(', ')} | ${help} | ${aggregator} |`
}

/** The whole page, in Markdown. */
export function renderTelemetryPage(): string {
  const metrics = createMetrics('')
  metrics.collectProcess()
  const rows = metrics.describe().toSorted((a, b) => (a.name < b.name ? -1 : 1))
  return [
    intro,
    '| name | type | labels | what it is | workers |',
    '|---|---|---|---|---|',
    ...rows.map(metricRow),
    '',
    logIntro,
    '| field | what it is |',
    '|---|---|',
    ...Object.entries(requestLineFields).map(([name, meaning]) => `| \`${name}\` | ${meaning} |`),
    '',
    '### Other lines',
    '',
    '| message | what it means | fields |',
    '|---|---|---|',
    ...Object.entries(logMessages).map(
      ([message, { meaning, fields }]) =>
        `| ${message} | ${meaning} | ${fields.map((field) => `\`${field}\``).join(', ')} |`,
    ),
    '',
    '| field | what it is |',
    '|---|---|',
    ...Object.entries(lineFields).map(([name, meaning]) => `| \`${name}\` | ${meaning} |`),
    '',
  ].join('\n')
}
