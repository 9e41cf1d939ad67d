/**
 * Settles ids that no link seems to name. A mark first, then a look through all links: a link that was written before the mark is seen, and who writes one
 * after it sees the mark (DESIGN: handshake). Uploads are looked at before links, because one becomes the other.
 */
import { listAll } from '../../storage/list-all.ts'
import type { Cancel, Listing } from '../../storage/driver.ts'
import { mapConcurrently } from '../concurrently.ts'
import { dataMarkKey, dataPrefix, isDataMark, isAboutData, uploadPrefix } from '../layout.ts'
import { mayRepair, type ScrubContext } from './context.ts'
import type { Bytes } from './data.ts'
import { orTell } from './stored.ts'
import { walkLinks } from './walk-links.ts'

function isDeletable(scrub: ScrubContext, { isDamaged }: Bytes): boolean {
  return isDamaged ? scrub.mode === 'delete damaged' : mayRepair(scrub)
}

/** Those that have no upload and no link; `isCertain` is false while a link cannot be read: it may name any of them. */
async function lookAgain(
  scrub: ScrubContext,
  suspects: readonly Bytes[],
  cancel: Cancel,
): Promise<{ readonly unlinked: ReadonlyMap<string, Bytes>; readonly isCertain: boolean }> {
  const unlinked = new Map<string, Bytes>()
  await mapConcurrently(suspects, scrub.limits.maxParallelCalls, async (bytes) => {
    const list = (): Promise<Listing> => scrub.driver.list(uploadPrefix(bytes.id), { ...cancel, limit: 1 })
    const upload = await orTell(scrub, dataPrefix(bytes.id), list)
    if (upload?.entries.length === 0) unlinked.set(bytes.id, bytes)
  })
  let isCertain = true
  for await (const walked of walkLinks(scrub, 'blobs/', cancel)) {
    if (walked.kind === 'link') unlinked.delete(walked.link.record.id)
    else if (walked.kind === 'unreadable') isCertain = false
  }
  return { unlinked, isCertain }
}

/** Bytes first, then all marks and what was said of them: who renews after this finds the bytes gone. Begun, it leaves our mark where it fails. */
async function deleteBytes({ driver }: ScrubContext, id: string, cancel: Cancel): Promise<void> {
  for await (const { key } of listAll(driver, dataPrefix(id), cancel)) {
    if (!isDataMark(key) && !isAboutData(key)) await driver.remove(key, cancel)
  }
  for await (const { key } of listAll(driver, dataPrefix(id), cancel)) await driver.remove(key, cancel)
}

async function sizeOf({ driver }: ScrubContext, id: string, cancel: Cancel): Promise<number> {
  let bytes = 0
  for await (const { key } of listAll(driver, dataPrefix(id), cancel)) {
    if (isDataMark(key) || isAboutData(key)) continue
    const stat = await driver.stat(key, cancel)
    bytes += stat?.size ?? 0
  }
  return bytes
}

async function settle(
  scrub: ScrubContext,
  bytes: Bytes,
  { fate, onDelete }: { readonly fate: 'delete' | 'leave'; readonly onDelete: () => void },
  cancel: Cancel,
): Promise<void> {
  const { id, isDamaged } = bytes
  const detail = `${await sizeOf(scrub, id, cancel)} bytes`
  if (fate === 'delete') {
    onDelete()
    await deleteBytes(scrub, id, cancel)
  }
  const done = isDamaged ? 'deleted' : 'repaired'
  const outcome = fate === 'delete' ? done : 'found'
  scrub.tell({ kind: isDamaged ? 'kept' : 'orphan', key: dataPrefix(id), detail, outcome })
}

/** Looks again at what seemed to be unlinked, tells of what is, and deletes it where the mode says so. */
export async function settleUnlinked(scrub: ScrubContext, suspects: readonly Bytes[], cancel: Cancel): Promise<void> {
  if (suspects.length === 0) return
  const { driver, createId, limits } = scrub
  const marks = new Map<Bytes, string>()
  const write = { ...cancel, reserve: true, durable: false }
  try {
    const deletable = suspects.filter((each) => isDeletable(scrub, each))
    await mapConcurrently(deletable, limits.maxParallelCalls, async (bytes) => {
      const mark = dataMarkKey(bytes.id, createId())
      const written = await orTell(scrub, dataPrefix(bytes.id), () => driver.write(mark, Buffer.alloc(0), write))
      if (written !== undefined) marks.set(bytes, mark)
    })
    const { unlinked, isCertain } = await lookAgain(scrub, suspects, cancel)
    for (const bytes of unlinked.values()) {
      const fate = isCertain && marks.has(bytes) ? 'delete' : 'leave'
      const onDelete = (): void => void marks.delete(bytes)
      await orTell(scrub, dataPrefix(bytes.id), () => settle(scrub, bytes, { fate, onDelete }, cancel))
    }
  } finally {
    // Our own marks go with us, also when we were told to stop; what was deleted took its mark along.
    await mapConcurrently([...marks.values()], limits.maxParallelCalls, (mark) =>
      orTell(scrub, mark, () => driver.remove(mark)),
    )
  }
}
