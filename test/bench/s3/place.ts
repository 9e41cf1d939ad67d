/** What one run of the bench measures with: a server, a bucket in it, and a blob in a file. */
import { createHash, randomBytes } from 'node:crypto'
import { open } from 'node:fs/promises'
import { DeleteObjectCommand, paginateListObjectsV2 } from '@aws-sdk/client-s3'
import { createClient, type S3Server } from '../../s3/servers.ts'

export const mebibyte = 1024 * 1024

export interface Place {
  readonly server: S3Server
  readonly bucket: string
  readonly folder: string
  /** The blob. */
  readonly file: string
  readonly digest: string
  readonly bytes: number
}

/** Random bytes in a file; resolves with their digest. They are never here at once: a process that holds a GiB takes 15 ms for each curl that it starts. */
export async function writeBlob(path: string, bytes: number): Promise<string> {
  const hash = createHash('sha256')
  await using file = await open(path, 'w')
  for (let left = bytes; left > 0; left -= mebibyte) {
    const chunk = randomBytes(Math.min(left, mebibyte))
    hash.update(chunk)
    await file.writeFile(chunk)
  }
  return `sha256:${hash.digest('hex')}`
}

export async function listObjects({
  server,
  bucket,
}: Place): Promise<{ readonly key: string; readonly size: number }[]> {
  const client = createClient(server)
  const found: { key: string; size: number }[] = []
  try {
    for await (const { Contents = [] } of paginateListObjectsV2({ client }, { Bucket: bucket })) {
      for (const { Key: key, Size: size } of Contents) {
        if (key !== undefined && size !== undefined) found.push({ key, size })
      }
    }
  } finally {
    client.destroy()
  }
  return found
}

/** Removes what is not to be kept: disks are small. */
export async function makeRoom(place: Place, kept: ReadonlySet<string> = new Set()): Promise<void> {
  const client = createClient(place.server)
  try {
    for (const { key } of await listObjects(place)) {
      if (!kept.has(key)) await client.send(new DeleteObjectCommand({ Bucket: place.bucket, Key: key }))
    }
  } finally {
    client.destroy()
  }
}
