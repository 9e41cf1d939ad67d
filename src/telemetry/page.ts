/** Writes `docs/telemetry.md`: every metric, every line of the log and the fields of a request; tests compare it with the code. */
import { requestLineFields } from './access-log.ts'
import { createMetrics, type MetricDescription } from './metrics.ts'

/** Every message of the log but `request`, with what it means to whoever reads it. */
export const logMessages: Readonly<Record<string, string>> = {
  'Berth listens': 'Requests are taken from now on; the fields say where, and where the data is.',
  'Berth has no users yet: whoever reaches this address may push, pull and delete':
    'It listens on more than this machine.',
  'Berth stops: no new connections, running requests may end': 'The first signal to stop came; they have `limitMs`.',
  'requests that were still running were cut': 'They took longer than `http.stopTimeout`, or a second signal came.',
  'a worker ended; it is replaced': '`cause` and `reason` say why; requests that it answered are broken off.',
  'a worker listens': 'One of the first; `worker` is its process. At level `debug`.',
  'a worker took the place': 'Its replacement listens.',
  'an error that nobody caught; this is a bug, please report it':
    'The process ends when its requests have, or soon, and is replaced.',
  'Berth has stopped': 'The last line.',
  'the store takes no writes now; reads go on': 'At the start: the disk is full or read-only, `reason` says which.',
  'a request failed': 'It was answered 5xx; `requestId` leads to its other line, `error` says why.',
  'an answer broke off': 'The store failed within an answer that had begun; its connection was cut.',
  'the pulse failed to answer': 'A bug in `/healthz`, `/readyz` or `/metrics`.',
  swept: 'A sweep ended, with what it removed; `debug` when there was nothing.',
  'a sweep failed; the next one goes on': 'The store failed; nothing is lost but time.',
  'retention rules applied': 'A run of retention ended, with what it removed.',
  'a retention run failed; the next one goes on': 'The store failed; nothing is lost but time.',
  'the sweeper ended; it is started again': 'The process beside the server died, or was killed.',
  'scrubbed: everything is as it should be': 'A scrub ended.',
  'scrubbed: see berth scrub': 'A scrub found something; [operations.md](operations.md) explains the kinds.',
  'a scrub failed; it goes on later': 'The store failed; it goes on from where it was.',
}

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
    '| message | what it means |',
    '|---|---|',
    ...Object.entries(logMessages).map(([message, meaning]) => `| ${message} | ${meaning} |`),
    '',
  ].join('\n')
}
