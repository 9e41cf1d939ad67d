/** Goes through the links of the whole store, or of one blob, and reads each. */
import type { Digest } from '../../oci/digest.ts'
import { listAll, listPages } from '../../storage/list-all.ts'
import type { Cancel } from '../../storage/driver.ts'
import { mapConcurrently } from '../concurrently.ts'
import { linksPrefix } from '../layout.ts'
import { placeOf } from '../places.ts'
import { decodeLink, encodeRecord, type LinkRecord } from '../records.ts'
import type { ScrubContext } from './context.ts'
import { readStored } from './stored.ts'

export interface WalkedLink {
  readonly key: string
  readonly digest: Digest
  readonly record: LinkRecord
  /** The record as text: links with the same text share bytes and fate. */
  readonly text: string
  readonly version: string
}

/** What lies below `blobs/`: a link, one that cannot be read, or a key that is none. */
export type Walked =
  | { readonly kind: 'link'; readonly link: WalkedLink }
  | { readonly kind: 'unreadable'; readonly key: string; readonly version: string | undefined; readonly reason: string }
  | { readonly kind: 'unknown'; readonly key: string }

async function readLinkAt(scrub: ScrubContext, key: string, cancel: Cancel): Promise<Walked | undefined> {
  const place = placeOf(key)
  if (place?.kind !== 'link') return { kind: 'unknown', key }
  const stored = await readStored(scrub, key, decodeLink, cancel)
  if (stored.state === 'absent') return undefined
  if (stored.state === 'unreadable') return { ...stored, kind: 'unreadable', key }
  const { value: record, version } = stored
  return {
    kind: 'link',
    link: { key, digest: place.digest, record, text: encodeRecord(record).toString(), version },
  }
}

/** All links behind a key, in order; those of one blob follow each other. */
export async function* walkLinks(scrub: ScrubContext, after: string, cancel: Cancel): AsyncGenerator<Walked> {
  for await (const page of listPages(scrub.driver, 'blobs/', { ...cancel, after })) {
    const read = await mapConcurrently(page.entries, scrub.limits.maxParallelCalls, ({ key }) =>
      readLinkAt(scrub, key, cancel),
    )
    for (const each of read) if (each !== undefined) yield each
  }
}

/** The links of one blob as they stand now. */
export async function* linksOf(scrub: ScrubContext, digest: Digest, cancel: Cancel): AsyncGenerator<WalkedLink> {
  for await (const { key } of listAll(scrub.driver, linksPrefix(digest), cancel)) {
    const walked = await readLinkAt(scrub, key, cancel)
    if (walked?.kind === 'link') yield walked.link
  }
}
