/** Writes what people read about options: `docs/configuration.md`, the annotated sample, and the output of `berth config print`. */
import { stringify } from 'yaml'
import { readList } from './list-option.ts'
import type { OptionInfo, Section } from './option.ts'
import { configSchema, fileKeyOf, listOptions, type OptionRow, variableOf } from './schema.ts'

const intro = `# Configuration

<!-- Generated from src/config/schema.ts by \`npm run docs\`; a test compares the two. -->

Berth needs no configuration. What you want otherwise goes into a YAML file, an environment variable, or both:

- \`npm start -- --config berth.yaml\`, or the variable \`BERTH_CONFIG\`, names the file; no file is read unless you name it.
  [config/berth.yaml](../config/berth.yaml) has every option with its default, [config/minimal.yaml](../config/minimal.yaml) is a start,
  [config/s3.yaml](../config/s3.yaml) one with a bucket.
- Every option has a variable. A variable wins over the file, the file over the default.
- \`<VARIABLE>_FILE\` takes the value from the file it names, for secrets that are mounted.
- A list is a YAML list in the file and the same list as text in a variable: \`[{ repositories: team/** }]\`.
- Durations and sizes are whole numbers with their unit: \`60s\`, \`24h\` (ms, s, m, h, d); \`4MiB\` (B, KiB, MiB, GiB, TiB).
- What is unknown or wrong is refused, all of it in one report; \`npx berth config check\` prints that report without starting
  anything, \`npx berth config print\` the values in use and where each comes from.
`

/** The page of all options, `docs/configuration.md`. */
export function renderConfigurationPage(): string {
  const sections = listSections(configSchema, '').map(({ path, section, rows }) =>
    [`## ${path}`, '', section.about, '', ...rows.flatMap(renderOption)].join('\n'),
  )
  return [intro, ...sections].join('\n')
}

interface SectionRows {
  readonly path: string
  readonly section: Section
  readonly rows: readonly OptionRow[]
}

/** The sections that hold options themselves, in the order of the file. */
function listSections(section: Section, path: string): SectionRows[] {
  const rows = listOptions().filter((row) => row.path.slice(0, row.path.lastIndexOf('.')) === path)
  const inner = Object.entries(section.entries).flatMap(([key, node]) =>
    'option' in node ? [] : listSections(node, path === '' ? key : `${path}.${key}`),
  )
  return rows.length === 0 ? inner : [{ path, section, rows }, ...inner]
}

function renderOption({ path, variable, schema: { option } }: OptionRow): string[] {
  return [
    `### ${path}`,
    '',
    option.reason,
    '',
    `- Default: ${typeof option.default === 'object' || option.default === '' ? 'none' : `\`${option.default}\``}`,
    `- Expected: ${option.expected}`,
    ...(option.fields ?? []).map(
      ({ name, presence, expected, reason }) =>
        `  - \`${name}\`${presence === 'optional' ? ' (optional)' : ''}: ${expected}. ${reason}`,
    ),
    `- Variable: \`${variable}\`${option.secret ? ' (a secret: never printed)' : ''}`,
    '',
  ]
}

const sampleIntro = `# Every option of Berth with its default: leave out what you do not change. Start with it: npm start -- --config config/berth.yaml
# Generated from src/config/schema.ts by "npm run docs". Each option also has an environment variable, which wins over
# this file: http.port is ${variableOf('http.port')}, http.maxRanges is ${variableOf('http.maxRanges')}.
`

/** The annotated sample, `config/berth.yaml`. */
export function renderSample(): string {
  const lines = renderSection(configSchema, '', (option, key) => [
    `# ${option.reason}`,
    `# ${capitalise(option.expected)}.`,
    `${key}: ${writeValue(option.default)}`,
  ])
  return [sampleIntro, ...lines].join('\n').replace(/\n+$/, '\n')
}

/** One line per option: its value and where it comes from. Secrets are not shown. It is a configuration file itself. */
export function renderEffective(
  settingOf: (row: OptionRow) => { readonly where: string; readonly written: unknown } | undefined,
): string {
  const rows = new Map(listOptions().map((row) => [row.schema.option, row]))
  const lines = renderSection(configSchema, '', (option, key) => {
    const row = rows.get(option)
    const setting = row === undefined ? undefined : settingOf(row)
    if (setting === undefined) return [`${key}: ${writeValue(option.default)} # default`]
    return [`${key}: ${writeSetting(option, setting.written)} # ${setting.where}`]
  })
  return `${lines.filter((line) => line !== '' && !line.trimStart().startsWith('#')).join('\n')}\n`
}

function renderSection(
  section: Section,
  indent: string,
  renderLines: (option: OptionInfo, key: string) => readonly string[],
): string[] {
  const lines: string[] = []
  for (const [key, node] of Object.entries(section.entries)) {
    if ('option' in node) {
      for (const line of renderLines(node.option, fileKeyOf(key, node))) lines.push(indent + line)
      lines.push('')
    } else {
      lines.push(`${indent}# ${node.about}`, `${indent}${key}:`)
      lines.push(...renderSection(node, `${indent}  `, renderLines))
    }
  }
  return lines
}

/** A variable is always text; a number or a switch needs no quotes all the same. That a secret is empty is none. */
function writeSetting(option: OptionInfo, written: unknown): string {
  if (option.secret && written !== '' && written !== null) return '"not shown"'
  if (option.kind === 'list') return writeValue(readList(written))
  return option.kind === 'number' || option.kind === 'switch' ? String(written) : writeValue(written)
}

/** On one line, also a list. */
function writeValue(value: unknown): string {
  return stringify(value, { lineWidth: 0, collectionStyle: 'flow', flowCollectionPadding: true }).trimEnd()
}

function capitalise(text: string): string {
  return text.slice(0, 1).toUpperCase() + text.slice(1)
}
