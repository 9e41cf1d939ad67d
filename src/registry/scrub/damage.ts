/**
 * Reads a blob and settles what is wrong with it. Damaged bytes are condemned: a mark says that they must not be relied on, and their links go, so that
 * the next push brings them anew. The mark comes first: who links them meanwhile looks for it afterwards, and backs off (DESIGN: handshake).
 */
import type { Digest } from '../../oci/digest.ts'
import type { Cancel } from '../../storage/driver.ts'
import { dataMarkKey, dataPrefix, linksPrefix } from '../layout.ts'
import type { LinkRecord } from '../records.ts'
import type { Blob } from './blobs.ts'
import { mayRepair, repairOutcome, type ScrubContext } from './context.ts'
import { orTell } from './stored.ts'
import { type BytesState, checkBytes } from './verify.ts'
import { linksOf, type WalkedLink } from './walk-links.ts'

interface Variant {
  readonly digest: Digest
  readonly text: string
  readonly record: LinkRecord
}

async function hasLink(scrub: ScrubContext, { digest, text }: Variant, cancel: Cancel): Promise<boolean> {
  for await (const link of linksOf(scrub, digest, cancel)) if (link.text === text) return true
  return false
}

/** Looked at twice, with time between them for a collector that was at work. `whole` when there is nothing to report. */
async function judge(scrub: ScrubContext, variant: Variant, cancel: Cancel): Promise<BytesState> {
  const { record, digest } = variant
  const first = await checkBytes(scrub, record, digest, cancel)
  if (first.state === 'whole') return first
  await scrub.sleep(scrub.limits.markWaitMs, cancel.signal)
  const second = await checkBytes(scrub, record, digest, cancel)
  return (await hasLink(scrub, variant, cancel)) ? second : { state: 'whole' }
}

/** Removes the links that are meant, each only as it was read. */
async function removeLinks(
  scrub: ScrubContext,
  digest: Digest,
  isMeant: (link: WalkedLink) => boolean,
  cancel: Cancel,
): Promise<void> {
  for await (const link of linksOf(scrub, digest, cancel)) {
    if (isMeant(link)) await scrub.driver.remove(link.key, { ...cancel, ifUnchanged: link.version })
  }
}

async function settleGone(scrub: ScrubContext, { digest, text, record }: Variant, cancel: Cancel): Promise<void> {
  if (mayRepair(scrub)) await removeLinks(scrub, digest, (link) => link.text === text, cancel)
  const detail = `nothing is left of ${dataPrefix(record.id)}`
  scrub.tell({ kind: 'dangling', key: linksPrefix(digest), digest, detail, outcome: repairOutcome(scrub) })
}

async function settleDamaged(
  scrub: ScrubContext,
  { digest, text, record: { id } }: Variant,
  found: { readonly detail: string; readonly what: 'bytes' | 'link' },
  cancel: Cancel,
): Promise<void> {
  if (mayRepair(scrub)) {
    if (found.what === 'bytes') {
      await scrub.driver.write(dataMarkKey(id, `damaged-${scrub.createId()}`), Buffer.alloc(0), {
        ...cancel,
        reserve: true,
      })
    }
    const isMeant = (link: WalkedLink): boolean => (found.what === 'bytes' ? link.record.id === id : link.text === text)
    await removeLinks(scrub, digest, isMeant, cancel)
  }
  const key = found.what === 'bytes' ? dataPrefix(id) : linksPrefix(digest)
  const { detail } = found
  scrub.tell({ kind: 'damaged', key, digest, detail, outcome: repairOutcome(scrub) })
}

/** Reads everything that the links of a blob mean. */
export async function verifyBlob(scrub: ScrubContext, { digest, variants }: Blob, cancel: Cancel): Promise<void> {
  const wholeIds = new Set<string>()
  const damaged: { readonly variant: Variant; readonly detail: string }[] = []
  for (const [text, record] of variants) {
    const variant = { digest, text, record }
    // When the disk does not give the bytes, it may the next time, so nothing is condemned for it.
    const look = async (): Promise<void> => {
      const state = await judge(scrub, variant, cancel)
      if (state.state === 'whole') wholeIds.add(record.id)
      if (state.state === 'gone') await settleGone(scrub, variant, cancel)
      if (state.state === 'damaged') damaged.push({ variant, detail: state.detail })
    }
    await orTell(scrub, dataPrefix(record.id), look, { digest })
  }
  for (const { variant, detail } of damaged) {
    // Another link says otherwise of the same bytes, and is right: this one link is what is damaged.
    const what = wholeIds.has(variant.record.id) ? 'link' : 'bytes'
    const settle = (): Promise<void> => settleDamaged(scrub, variant, { detail, what }, cancel)
    await orTell(scrub, dataPrefix(variant.record.id), settle, { digest })
  }
}
