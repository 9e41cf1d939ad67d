/**
 * How fast Node.js can take a body at all and have it on the disk: hash what comes, `writev` a mebibyte at a time while the next arrives, one
 * fdatasync at the end. No registry around it: `PUT` of a path that ends in a digest writes one file. `node writev-loop.ts PORT FOLDER`.
 */
import cluster from 'node:cluster'
import { createHash } from 'node:crypto'
import { type FileHandle, open } from 'node:fs/promises'
import { createServer, type IncomingMessage } from 'node:http'
import { availableParallelism } from 'node:os'
import { join } from 'node:path'

const writeBytes = 1024 * 1024
const [port = '', folder = ''] = process.argv.slice(2)

async function writeAll(file: FileHandle, buffers: readonly Uint8Array[], offset: number, size: number): Promise<void> {
  const { bytesWritten } = await file.writev(buffers, offset)
  if (bytesWritten !== size) throw new Error('a short write')
}

/** Returns the digest of what is on the disk now. */
async function receive(body: AsyncIterable<Uint8Array>, file: FileHandle): Promise<string> {
  const hash = createHash('sha256')
  let gathered: Uint8Array[] = []
  let gatheredBytes = 0
  let offset = 0
  let writing = Promise.resolve()
  const flush = (): void => {
    writing = writeAll(file, gathered, offset, gatheredBytes)
    writing.catch(() => undefined)
    offset += gatheredBytes
    gathered = []
    gatheredBytes = 0
  }
  try {
    for await (const chunk of body) {
      hash.update(chunk)
      gathered.push(chunk)
      gatheredBytes += chunk.length
      if (gatheredBytes < writeBytes) continue
      await writing
      flush()
    }
    await writing
    if (gatheredBytes > 0) flush()
    await writing
    await file.datasync()
  } finally {
    await Promise.allSettled([writing])
  }
  return `sha256:${hash.digest('hex')}`
}

async function put(request: IncomingMessage): Promise<number> {
  if (request.method !== 'PUT') return 200
  const digest = request.url?.split('/').at(-1) ?? ''
  const file = await open(join(folder, digest), 'w')
  try {
    return (await receive(request, file)) === digest ? 201 : 400
  } finally {
    await file.close()
  }
}

if (cluster.isPrimary) {
  for (let i = 0; i < availableParallelism(); i++) cluster.fork()
} else {
  createServer((request, response) => {
    put(request).then(
      (status) => response.writeHead(status, { 'Content-Length': 0 }).end(),
      () => response.destroy(),
    )
  }).listen(Number(port), '127.0.0.1')
}
