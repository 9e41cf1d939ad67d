/** Goes through what is under way: uploads, pushes, entries of the sweep, scratch. All of it is the sweep's, unless it cannot be read. */
import { listPages } from '../../storage/list-all.ts'
import type { Cancel } from '../../storage/driver.ts'
import { mapConcurrently } from '../concurrently.ts'
import { type Place, placeOf } from '../places.ts'
import { decodeClaim, decodeGarbage, decodeLink, decodeManifest, decodeSession, decodeTag } from '../records.ts'
import { batchSize, repairOutcome, mayRepair, type ScrubContext } from './context.ts'
import { orTell, readStored, settleUnreadable } from './stored.ts'
import { restoreDigests, type LostClaims } from './lost-claims.ts'

type Decode = (bytes: Buffer) => unknown

/** How the values are read, where there are any to read. */
const decoders: Readonly<Partial<Record<Place['kind'], Decode>>> = {
  garbage: decodeGarbage,
  session: decodeSession,
  claim: decodeClaim,
  close: decodeLink,
}

const pushDecoders: Readonly<Record<'manifest' | 'tag' | 'over', Decode>> = {
  manifest: decodeManifest,
  tag: decodeTag,
  over: decodeGarbage,
}

async function settleScratch(scrub: ScrubContext, key: string, ageMs: number, cancel: Cancel): Promise<void> {
  if (ageMs < scrub.idleMs) return
  if (mayRepair(scrub)) await scrub.driver.remove(key, cancel)
  scrub.tell({ kind: 'orphan', key, detail: 'left by a start', outcome: repairOutcome(scrub) })
}

/** Looks at one key; an upload whose claim cannot be read goes to `lost`. */
async function checkEntry(
  scrub: ScrubContext,
  { key, ageMs }: { readonly key: string; readonly ageMs: number },
  lost: LostClaims,
  cancel: Cancel,
): Promise<void> {
  const place = placeOf(key)
  if (place === undefined) return scrub.tell({ kind: 'unknown', key, outcome: 'found' })
  if (place.kind === 'scratch') return settleScratch(scrub, key, ageMs, cancel)
  const decode = place.kind === 'push entry' ? pushDecoders[place.entry] : decoders[place.kind]
  if (decode === undefined) return undefined
  const stored = await readStored(scrub, key, decode, cancel)
  if (stored.state !== 'unreadable') return undefined
  if (place.kind === 'claim' && stored.version !== undefined && ageMs >= scrub.idleMs) {
    lost.set(place.id, [...(lost.get(place.id) ?? []), key])
    return undefined
  }
  // Of what is older nobody is at work on: taking the entry away is what the sweep does, too.
  const isOver = place.kind === 'garbage' || ageMs >= scrub.idleMs
  return settleUnreadable(scrub, key, stored, isOver ? 'remove' : 'leave', cancel)
}

/** Goes through all entries below a prefix, behind a key. */
export async function scrubJournal(scrub: ScrubContext, prefix: string, after: string, cancel: Cancel): Promise<void> {
  const options = { ...cancel, after, times: true, pageSize: batchSize }
  for await (const { entries, now = 0 } of listPages(scrub.driver, prefix, options)) {
    const lost: LostClaims = new Map()
    await mapConcurrently(entries, scrub.limits.maxParallelCalls, ({ key, modified = now }) =>
      orTell(scrub, key, () => checkEntry(scrub, { key, ageMs: now - modified }, lost, cancel)),
    )
    await restoreDigests(scrub, lost, cancel)
    const last = entries.at(-1)
    if (last !== undefined) scrub.reach(last.key)
  }
}
