/** `berth scrub`: reads everything in the store once, beside servers that run or not, and says what is not as it should be. */
import type { Config } from '../config/schema.ts'
import { parseSize } from '../config/units.ts'
import { type Finding, type FindingKind, findingKinds, type ScrubMode } from '../registry/scrub/context.ts'
import { createScrub, isPosition, type ScrubCounts } from '../registry/scrub/scrub.ts'
import { StorageError } from '../storage/driver.ts'
import { type Hand, loadLastingConfig, workByHand } from './by-hand.ts'
import { CommandError, type Given, type Surroundings } from './command.ts'
import { configureSweep } from './housekeeping.ts'
import type { Store } from './open-store.ts'
import type { Progress } from './progress.ts'
import type { ScrubLoop } from './scrub-loop.ts'

interface Asked {
  readonly mode: ScrubMode
  readonly bytesPerSecond: number
  readonly from: string | undefined
}

function readAsked({ options }: Given, { scrub }: Config): Asked {
  const mode = options.has('delete-damaged') ? 'delete damaged' : options.has('repair') ? 'repair' : 'look'
  const rate = options.get('rate')
  const bytesPerSecond = rate === undefined ? scrub.rateBytes : parseSize(rate)
  if (bytesPerSecond === undefined || bytesPerSecond === 0) {
    throw new CommandError('refused', `--rate takes a size, like 50MiB, not ${JSON.stringify(rate)}`)
  }
  const from = options.get('from')
  if (from !== undefined && !isPosition(from)) {
    throw new CommandError('refused', `--from takes a position that a scrub has printed, not ${JSON.stringify(from)}`)
  }
  return { mode, bytesPerSecond, from }
}

const kindWidth = Math.max(...Object.keys(findingKinds).map((kind) => kind.length))

/** A finding on one line. */
export function renderFinding({ kind, key, repository, digest, detail, outcome }: Finding): string {
  const where = [repository, digest].filter((part) => part !== undefined).join('@')
  const words = [where, key, detail === undefined ? undefined : `(${detail})`].filter((part) => part && part !== '')
  return `${kind.padEnd(kindWidth)}  ${outcome.padEnd('repaired'.length)}  ${words.join('  ')}\n`
}

function isKind(kind: string): kind is FindingKind {
  return Object.hasOwn(findingKinds, kind)
}

function countFindings({ found }: ScrubCounts): number {
  return Object.values(found).reduce((sum, count) => sum + count, 0)
}

/** What a run found, one kind a line. */
export function renderScrubCounts(counts: ScrubCounts): string {
  const lines = Object.entries(counts.found).flatMap(([kind, count]) =>
    count > 0 && isKind(kind) ? [`  ${count.toLocaleString('en').padStart(7)}  ${kind}: ${findingKinds[kind]}`] : [],
  )
  const title = `Read ${counts.bytes.toLocaleString('en')} bytes of blobs.`
  return `${[title, ...(lines.length === 0 ? ['Everything is as it should be.'] : lines)].join('\n')}\n`
}

/** How a run is told: to a person, or in lines of JSON. */
function createTeller({ options }: Given, { out }: Surroundings, progress: Progress) {
  if (options.has('json')) {
    return {
      finding: (finding: Finding) => out(`${JSON.stringify({ type: 'finding', ...finding })}\n`),
      end: (counts: ScrubCounts) => out(`${JSON.stringify({ type: 'end', ...counts })}\n`),
    }
  }
  return {
    finding(finding: Finding) {
      progress.clear()
      out(renderFinding(finding))
    },
    end: (counts: ScrubCounts) => out(renderScrubCounts(counts)),
  }
}

async function runScrub(
  { mode, bytesPerSecond, from }: Asked,
  config: Config,
  { store, progress, signal }: Hand,
  onFinding: (finding: Finding) => void,
): Promise<ScrubCounts> {
  let position = from
  try {
    return await createScrub(configureSweep(config, store)).run(mode, {
      signal,
      bytesPerSecond,
      from,
      onFinding,
      report: (what, fraction, reached) => {
        position = reached
        progress.show(what, fraction)
      },
    })
  } catch (error) {
    if (!signal.aborted && !(error instanceof StorageError)) throw error
    const reason = signal.aborted ? 'stopped' : error instanceof Error ? error.message : 'the store failed'
    const next = position === undefined ? 'nothing is done yet' : `go on with --from '${position}'`
    throw new CommandError('failed', `${reason}; ${next}`, { cause: error })
  }
}

/** The scheduled scrubs of a store, as the configuration has their times. */
export function configureScrubs(config: Config, store: Store, onRun: ScrubLoop['onRun']): ScrubLoop {
  const { driver } = store
  const dependencies = configureSweep(config, store)
  const { intervalMs, rateBytes } = config.scrub
  return { ...dependencies, driver, scrub: createScrub(dependencies), intervalMs, bytesPerSecond: rateBytes, onRun }
}

export async function scrub(given: Given, surroundings: Surroundings): Promise<void> {
  const config = loadLastingConfig(given, surroundings)
  const asked = readAsked(given, config)
  await workByHand(config, surroundings, async (hand) => {
    const teller = createTeller(given, surroundings, hand.progress)
    const counts = await runScrub(asked, config, hand, teller.finding)
    hand.progress.clear()
    teller.end(counts)
    const count = countFindings(counts)
    if (count === 0) return
    const things = count === 1 ? 'thing is' : 'things are'
    throw new CommandError('found', `${count.toLocaleString('en')} ${things} not as it should be`)
  })
}
