/** Takes back pushes whose process is gone: what they would publish is deleted, so that nothing of it can appear any more. */
import type { Digest } from '../../oci/digest.ts'
import { listPages } from '../../storage/list-all.ts'
import type { Cancel } from '../../storage/driver.ts'
import { noteGarbage } from '../garbage.ts'
import { parsePushKey, type PushKey, pushesPrefix, pushOverKey } from '../layout.ts'
import { decodeManifest, decodeTag, encodeRecord, type GarbageRecord } from '../records.ts'
import { parseManifest } from '../../oci/manifest.ts'
import type { SweepContext } from './context.ts'
import { hasWaited } from './copy-window.ts'
import { decodeOrCount, workOrCount } from './unreadable.ts'

interface FoundPush extends Omit<PushKey, 'entry'> {
  /** Entries with their keys; `over` apart. */
  readonly entries: string[]
  over: string | undefined
  newest: number
}

const noLimits = { maxDepth: Number.POSITIVE_INFINITY, maxReferences: Number.POSITIVE_INFINITY }

/** What the entries of a push would have named. */
async function readGarbage(
  sweep: SweepContext,
  { repository, entries }: FoundPush,
  cancel: Cancel,
): Promise<GarbageRecord> {
  const manifests = new Set<Digest>()
  const digests = new Set<Digest>()
  for (const key of entries) {
    const stored = await sweep.driver.read(key, cancel)
    if (stored === undefined) continue
    if (parsePushKey(key)?.entry === 'tag') {
      const tag = decodeOrCount(sweep, () => decodeTag(stored.bytes))
      if (tag !== undefined) manifests.add(tag.digest)
      continue
    }
    const manifest = decodeOrCount(sweep, () => decodeManifest(stored.bytes))
    const parsed = manifest && decodeOrCount(sweep, () => parseManifest(manifest.bytes, manifest.mediaType, noLimits))
    if (manifest === undefined || parsed === undefined) continue
    const { digest } = manifest
    for (const each of parsed.blobs) digests.add(each)
    for (const each of [digest, ...parsed.manifests]) manifests.add(each)
    if (parsed.subject !== undefined) manifests.add(parsed.subject)
  }
  return { repository, manifests: [...manifests], digests: [...digests] }
}

async function takeBack(sweep: SweepContext, push: FoundPush, cancel: Cancel): Promise<void> {
  const { driver, counts, mode } = sweep
  counts.pushes++
  if (mode === 'look') return
  const garbage = await readGarbage(sweep, push, cancel)
  await noteGarbage(sweep, garbage, cancel, push.push)
  if (driver.promotion === 'copy') {
    await driver.write(pushOverKey(push.repository, push.push), encodeRecord(garbage), { ...cancel, reserve: true })
  }
  for (const key of push.entries) await driver.remove(key, cancel)
}

/** Pushes with the time of their newest entry, by the store's clock. */
async function* findPushes(
  { driver }: SweepContext,
  cancel: Cancel,
): AsyncGenerator<{ readonly push: FoundPush; readonly now: number }> {
  let current: FoundPush | undefined
  let now = 0
  for await (const page of listPages(driver, pushesPrefix, { ...cancel, times: true })) {
    now = page.now
    for (const { key, modified = now } of page.entries) {
      const parsed = parsePushKey(key)
      if (parsed === undefined) continue
      const { repository, push, entry } = parsed
      if (current?.push !== push) {
        if (current !== undefined) yield { push: current, now }
        current = { repository, push, entries: [], over: undefined, newest: 0 }
      }
      if (entry === 'over') current.over = key
      else {
        current.entries.push(key)
        current.newest = Math.max(current.newest, modified)
      }
    }
  }
  if (current !== undefined) yield { push: current, now }
}

/** Takes back every push whose entries are older than the limit, and forgets those taken back once no copy of them can land any more. */
export async function takeBackPushes(sweep: SweepContext, cancel: Cancel): Promise<void> {
  const { driver, limits, mode } = sweep
  for await (const { push, now } of findPushes(sweep, cancel)) {
    const { entries, over, newest } = push
    if (entries.length > 0) {
      if (now - newest >= limits.pushIdleMs) await workOrCount(sweep, () => takeBack(sweep, push, cancel))
    } else if (over !== undefined && mode === 'sweep' && hasWaited(sweep, over)) {
      await workOrCount(sweep, () => driver.remove(over, cancel))
    }
  }
}
