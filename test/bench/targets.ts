/** What Berth wants to reach, and whether a run says that it does. */
import type { Operation } from './operation.ts'
import type { ServerName } from './servers.ts'
import type { Medians, Results } from './table.ts'

interface Target {
  readonly operation: string
  /** What of Berth is held against the target: speed in the unit of the operation. */
  readonly figure: 'speed' | 'cpuSeconds' | 'p99Ms'
  /** Divided by the same figure of this server, or of Berth in this operation. */
  readonly by?: { readonly server: ServerName } | { readonly operation: string }
  readonly bound: 'at least' | 'at most'
  readonly value: number
}

const distribution = { server: 'docker-registry' } as const
const nginx = { server: 'nginx' } as const

const reads = ['manifest-tag', 'manifest-digest', 'head-blob'].flatMap((kind) =>
  [1, 16, 64].flatMap((connections): Target[] => {
    const operation = `${kind}@${connections}`
    return [
      { operation, figure: 'cpuSeconds', by: distribution, bound: 'at most', value: 0.3 },
      { operation, figure: 'cpuSeconds', by: nginx, bound: 'at most', value: 7 },
      { operation, figure: 'speed', by: distribution, bound: 'at least', value: 2.5 },
      { operation, figure: 'p99Ms', by: distribution, bound: 'at most', value: 1 },
    ]
  }),
)

/** As fast as: what two measurements of the same differ by is left. */
const asFast = 0.9

/** The targets of one run; memory under many transfers is held to its own by `npm run bench:crowd`. */
export const targets: readonly Target[] = [
  ...reads,
  { operation: 'blob-big@1', figure: 'speed', by: nginx, bound: 'at least', value: 0.9 },
  { operation: 'blob-big@8', figure: 'speed', by: nginx, bound: 'at least', value: 0.9 },
  { operation: 'blob-small', figure: 'speed', by: distribution, bound: 'at least', value: 15 },
  ...['firstTags', 'deepTags', 'firstRepositories', 'deepRepositories'].map((operation): Target => ({
    operation,
    figure: 'speed',
    by: distribution,
    bound: 'at least',
    value: 10,
  })),
  { operation: 'deepTags', figure: 'speed', by: { operation: 'firstTags' }, bound: 'at least', value: asFast },
  {
    operation: 'deepRepositories',
    figure: 'speed',
    by: { operation: 'firstRepositories' },
    bound: 'at least',
    value: asFast,
  },
  { operation: 'referrers', figure: 'speed', bound: 'at least', value: 3000 },
  { operation: 'start-empty', figure: 'speed', bound: 'at most', value: 600 },
  { operation: 'start-full', figure: 'speed', bound: 'at most', value: 600 },
  { operation: 'push-tiny-put@8', figure: 'speed', by: distribution, bound: 'at least', value: 3 },
  { operation: 'push-tiny-patch@8', figure: 'speed', by: distribution, bound: 'at least', value: 3 },
  { operation: 'push-huge-put@1', figure: 'speed', by: distribution, bound: 'at least', value: 1.5 },
  { operation: 'push-huge-put@1', figure: 'speed', by: { server: 'writev loop' }, bound: 'at least', value: 0.9 },
  { operation: 'push-huge-patch@1', figure: 'speed', by: distribution, bound: 'at least', value: 1.5 },
  { operation: 'image@8', figure: 'speed', by: distribution, bound: 'at least', value: 3 },
]

export interface Measured {
  readonly operation: Pick<Operation, 'id' | 'name' | 'unit'>
  readonly results: Results
}

/** A line for every target whose operation was measured, and how many hold. */
export function renderVerdicts(all: readonly Target[], measured: readonly Measured[]): string {
  const verdicts = all.flatMap((target) => judge(target, measured) ?? [])
  if (verdicts.length === 0) return ''
  const held = verdicts.filter(({ holds }) => holds).length
  const left = all.length - verdicts.length
  const rest = left === 0 ? '' : `; ${left} not measured in this run`
  return `\n## Targets: ${held} of ${verdicts.length} hold${rest}\n\n${verdicts.map(({ line }) => line).join('\n')}\n`
}

function judge(target: Target, measured: readonly Measured[]): { line: string; holds: boolean } | undefined {
  const { by, figure, bound, value } = target
  const own = measured.find(({ operation }) => operation.id === target.operation)
  const ours = figureOf(own?.results.get('berth'), figure)
  if (own === undefined || ours === undefined) return undefined
  let shown = ours
  if (by !== undefined) {
    const other = 'server' in by ? own : measured.find(({ operation }) => operation.id === by.operation)
    const theirs = figureOf(other?.results.get('server' in by ? by.server : 'berth'), figure)
    if (theirs === undefined) return undefined
    shown = ours / theirs
  }
  const holds = bound === 'at least' ? shown >= value : shown <= value
  const { name, unit } = own.operation
  const what = `${unit === 'ms' ? 'time' : words[figure]}${by === undefined ? ` (${unit})` : ` ÷ ${nameOf(by, measured)}`}`
  const verdict = holds ? 'holds' : 'DOES NOT HOLD'
  return { holds, line: `- ${name}: ${what}: target ${bound} ${value}, measured ${round(shown)}: ${verdict}` }
}

const words = { speed: 'speed', cpuSeconds: 'CPU', p99Ms: 'p99' } as const

function nameOf(by: NonNullable<Target['by']>, measured: readonly Measured[]): string {
  if ('server' in by) return by.server
  return `"${measured.find(({ operation }) => operation.id === by.operation)?.operation.name ?? by.operation}"`
}

function figureOf(medians: Medians | undefined, figure: Target['figure']): number | undefined {
  return medians?.[figure]
}

function round(value: number): string {
  return value >= 100 ? String(Math.round(value)) : value.toFixed(2)
}

/** Where a server that does nothing is not clearly faster than Berth, the load generator may be what was measured. */
export function renderLimits(measured: readonly Measured[]): string {
  const lines = measured.flatMap(({ operation, results }) => {
    const ours = results.get('berth')?.speed
    const theirs = results.get('null (nginx)')?.speed ?? results.get('null (Node.js)')?.speed
    if (ours === undefined || theirs === undefined) return []
    const doubt = ours > 0.8 * theirs ? ': TOO CLOSE, the generator may be the limit' : ''
    return [`- ${operation.name}: ${(theirs / ours).toFixed(1)} times Berth${doubt}`]
  })
  return lines.length === 0
    ? ''
    : `\n## What the load generator reaches with a server that does nothing\n\n${lines.join('\n')}\n`
}
