/** How an attempt at a push writes its tags: the journal entry first, then the tag itself, promoted or, an immutable one, created. */
import type { Digest } from '../oci/digest.ts'
import type { ParsedManifest } from '../oci/manifest.ts'
import type { RepositoryName, Tag } from '../oci/name.ts'
import type { Cancel } from '../storage/driver.ts'
import type { Context } from './context.ts'
import { noteAndDo } from './garbage.ts'
import { pushTagKey, tagHintKey, tagKey } from './layout.ts'
import { readTag } from './lookup.ts'
import { encodeRecord } from './records.ts'

/** A manifest to be pushed, read and checked as far as that goes without the store. */
export interface Push {
  readonly repository: RepositoryName
  readonly digest: Digest
  readonly tags: readonly Tag[]
  readonly parsed: ParsedManifest
  readonly bytes: Buffer
  readonly by: string
}

/** One attempt at a push, under a push id of its own. */
export interface Attempt extends Push {
  readonly id: string
}

/** One tag of an attempt: its number in the push, and the incarnation of the manifest that it is written for. */
interface TagWrite {
  readonly tag: Tag
  readonly n: number
  readonly incarnation: string
}

function encodeTag({ now }: Context, attempt: Attempt, incarnation: string): Buffer {
  const { digest, parsed, bytes, by, id } = attempt
  return encodeRecord({
    digest,
    mediaType: parsed.mediaType,
    size: bytes.length,
    push: id,
    incarnation,
    at: now(),
    by,
  })
}

/** Writes the journal entry of one tag. With its hint, whoever deletes the manifest finds the tag from here on. */
export async function enterTag(
  context: Context,
  attempt: Attempt,
  { n, incarnation }: Omit<TagWrite, 'tag'>,
  cancel: Cancel,
): Promise<void> {
  const record = encodeTag(context, attempt, incarnation)
  const options = { ...cancel, durable: false, toPromote: true }
  await context.driver.write(pushTagKey(attempt.repository, attempt.id, n), record, options)
}

/** Writes one tag, of which the entry and the hint are there. False when the push was taken back, or another one was faster. */
export async function makeTag(context: Context, attempt: Attempt, write: TagWrite, cancel: Cancel): Promise<boolean> {
  const { repository } = attempt
  return context.immutableTags?.findRule(repository, write.tag) === undefined
    ? moveTag(context, attempt, write, cancel)
    : createTag(context, attempt, write, cancel)
}

async function moveTag(
  context: Context,
  { repository, digest, id }: Attempt,
  { tag, n }: TagWrite,
  cancel: Cancel,
): Promise<boolean> {
  const before = await readTag(context, repository, tag, cancel)
  const key = tagKey(repository, tag)
  const move = async (): Promise<boolean> =>
    (await context.driver.promote(pushTagKey(repository, id, n), key, cancel)) === 'done'
  if (before === undefined || before.digest === digest) return move()
  const lost = before.digest
  const garbage = { repository, manifests: [lost], until: { kind: 'tag', key, digest: lost } } as const
  return noteAndDo(context, garbage, cancel, move)
}

/**
 * Writes an immutable tag where there is none. That is no promote, so the entry being there afterwards is its fence: the hint that leads to the tag goes
 * only when the entry is gone and, read after that, the tag does not name the manifest.
 */
async function createTag(
  context: Context,
  attempt: Attempt,
  { tag, n, incarnation }: TagWrite,
  cancel: Cancel,
): Promise<boolean> {
  const { driver } = context
  const { repository, digest, id } = attempt
  const [entry, key] = [pushTagKey(repository, id, n), tagKey(repository, tag)]
  const outcome = await driver.write(key, encodeTag(context, attempt, incarnation), { ...cancel, ifAbsent: true })
  if (outcome === 'exists') {
    const before = await readTag(context, repository, tag, cancel)
    // The same content, of an earlier incarnation perhaps: it is written anew, never removed first, as it may be in use.
    return before?.digest === digest && (await driver.promote(entry, key, cancel)) === 'done'
  }
  if ((await driver.stat(entry, cancel)) !== undefined) {
    await driver.remove(entry, cancel)
    return true
  }
  const written = await readTag(context, repository, tag, cancel)
  if (written?.push === id) await driver.remove(key, { ...cancel, ifUnchanged: written.version })
  return false
}

/**
 * Whether those who look for the names of a manifest find this tag. An immutable tag may be without its hint when its process slept, lost its entry,
 * and died right after it wrote the tag; any other is promoted, and never is.
 */
export async function isFound(
  { driver, immutableTags }: Context,
  { repository, digest }: Attempt,
  tag: Tag,
  push: string,
  cancel: Cancel,
): Promise<boolean> {
  if (immutableTags?.findRule(repository, tag) === undefined) return true
  return (await driver.stat(tagHintKey(repository, digest, tag, push), cancel)) !== undefined
}
