/** Reads the YAML file into settings, each with its line. It knows which keys exist, not which values are good. */
import { isAlias, isMap, isScalar, isSeq, LineCounter, type Pair, parseDocument, type YAMLMap } from 'yaml'
import type { Option, Section } from './option.ts'
import { configSchema, fileKeyOf, listOptions } from './schema.ts'
import type { Problem, Reading, Setting } from './setting.ts'
import { didYouMean } from './suggest.ts'

interface Walk {
  readonly lineOf: (node: unknown) => number
  readonly fileName: string
  readonly resolve: (node: unknown) => unknown
  readonly settings: Setting[]
  readonly problems: Problem[]
}

/** Reads a YAML text; `fileName` stands in every place that is reported. */
export function readFileSettings(text: string, fileName: string): Reading {
  const lines = new LineCounter()
  const doc = parseDocument(text, { lineCounter: lines, prettyErrors: false, uniqueKeys: false })
  const walk: Walk = {
    fileName,
    lineOf: (node) => lines.linePos(positionOf(node)).line,
    resolve: (node) => (isAlias(node) ? node.resolve(doc) : node),
    settings: [],
    problems: [],
  }
  for (const error of [...doc.errors, ...doc.warnings]) {
    const message = error.code === 'MULTIPLE_DOCS' ? 'one document per file, without a second "---"' : error.message
    walk.problems.push({ where: `${fileName}:${lines.linePos(error.pos[0]).line}`, message })
  }
  if (walk.problems.length === 0) readSection(walk, doc.contents, configSchema, '')
  return walk
}

function positionOf(node: unknown): number {
  if (typeof node !== 'object' || node === null || !('range' in node) || !Array.isArray(node.range)) return 0
  const start: unknown = node.range[0]
  return typeof start === 'number' ? start : 0
}

function isEmpty(node: unknown): boolean {
  return node === null || node === undefined || (isScalar(node) && node.value === null)
}

/** Reads one section; `path` is empty for the whole file, else it ends in a dot. */
function readSection(walk: Walk, given: unknown, section: Section, path: string): void {
  const node = walk.resolve(given)
  if (isEmpty(node)) return
  if (!isMap(node)) {
    const name = path === '' ? 'the file' : path.slice(0, -1)
    const message = `${name} must be a section of options: ${fileKeysOf(section).join(', ')}`
    walk.problems.push({ where: `${walk.fileName}:${walk.lineOf(given)}`, message })
    return
  }
  readEntries(walk, node, section, path)
}

function readEntries(walk: Walk, map: YAMLMap, section: Section, path: string): void {
  const known = new Map(Object.entries(section.entries).map(([key, node]) => [fileKeyOf(key, node), node]))
  const seen = new Map<string, number>()
  for (const pair of map.items) {
    const key = keyOf(pair)
    const where = `${walk.fileName}:${walk.lineOf(pair.key)}`
    const node = known.get(key)
    const before = seen.get(key)
    if (before !== undefined) {
      walk.problems.push({ where, path: path + key, message: `is written twice, on line ${before} already` })
    } else if (node === undefined) {
      walk.problems.push({ where, path: path + key, message: `unknown option${suggestFor(key, section)}` })
    } else if ('option' in node) {
      const written =
        node.option.kind === 'list' ? plainOf(walk, pair.value, path + key) : writtenOf(walk.resolve(pair.value))
      walk.settings.push({ option: node, where, written })
    } else {
      readSection(walk, pair.value, node, `${path}${key}.`)
    }
    seen.set(key, before ?? walk.lineOf(pair.key))
  }
}

function keyOf(pair: Pair): string {
  return isScalar(pair.key) ? String(pair.key.value) : String(pair.key)
}

function writtenOf(node: unknown): unknown {
  if (isScalar(node)) return node.value
  if (isEmpty(node)) return null
  return isMap(node) ? {} : []
}

/** The value of a node and all in it; what a map says twice is a problem. */
function plainOf(walk: Walk, given: unknown, path: string): unknown {
  const node = walk.resolve(given)
  if (isSeq(node)) return node.items.map((item, n) => plainOf(walk, item, `${path}[${n}]`))
  if (!isMap(node)) return writtenOf(node)
  const entries = new Map<string, unknown>()
  for (const pair of node.items) {
    const key = keyOf(pair)
    const where = `${walk.fileName}:${walk.lineOf(pair.key)}`
    if (entries.has(key)) walk.problems.push({ where, path: `${path}.${key}`, message: 'is written twice' })
    entries.set(key, plainOf(walk, pair.value, `${path}.${key}`))
  }
  return Object.fromEntries(entries)
}

function fileKeysOf(section: Section): string[] {
  return Object.entries(section.entries).map(([key, node]: [string, Option | Section]) => fileKeyOf(key, node))
}

/** A neighbour with nearly this name, else the option of this very name in another section. */
function suggestFor(key: string, section: Section): string {
  const near = didYouMean(key, fileKeysOf(section))
  if (near !== '') return near
  const elsewhere = listOptions().find(({ path }) => path.toLowerCase().endsWith(`.${key.toLowerCase()}`))
  return elsewhere === undefined ? '' : `; did you mean ${elsewhere.path}?`
}
