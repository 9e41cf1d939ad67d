/** How a soak's client brings a blob into a repository: every way there is, begun again or gone on with when a server dies. */
import type { Random } from '../replicas/random.ts'
import { locationOf, withDigest } from '../replicas/requests.ts'
import type { Answer, Ask } from './ask.ts'
import type { Content } from './model.ts'

const octets = { 'content-type': 'application/octet-stream' }
const ways = ['single', 'whole', 'streamed', 'chunked'] as const
const maxTries = 30

export interface Uploader {
  /**
   * Sees to it that the repository holds the blob, and returns since when that is promised (P3): the start of the request that was answered so.
   */
  hold(repository: string, blob: Content): Promise<number>
  /** Begins an upload and sends bytes; returns its path. */
  begin(repository: string, blob: Content): Promise<string>
}

export function createUploader(
  ask: Ask,
  random: Random,
  repositories: readonly string[],
  count: (kind: string) => void,
): Uploader {
  const uploadsOf = (repository: string): string => `/v2/${repository}/blobs/uploads/`

  async function start(repository: string): Promise<string> {
    return locationOf(await ask.again({ method: 'POST', path: uploadsOf(repository) }, [202]))
  }

  async function hold(repository: string, blob: Content): Promise<number> {
    const head = await ask.again({ method: 'HEAD', path: `/v2/${repository}/blobs/${blob.digest}` }, [200, 404])
    count('head')
    if (head.status === 200) return head.beganAt
    if (random.below(3) === 0) {
      const from = random.pick(repositories)
      const path = `${uploadsOf(repository)}?mount=${encodeURIComponent(blob.digest)}&from=${encodeURIComponent(from)}`
      const mounted = await ask.again({ method: 'POST', path }, [201, 202])
      count(mounted.status === 201 ? 'mount' : 'mount refused')
      if (mounted.status === 201) return mounted.beganAt
    }
    for (let i = 0; i < maxTries; i++) {
      const way = random.pick(ways)
      const answer = await upload(repository, blob, way)
      if (answer?.status === 201) {
        count(`upload ${way}`)
        return answer.beganAt
      }
      // The server died, or a session was idle for too long: real clients begin again.
      if (answer !== undefined && ![404, 416, 503].includes(answer.status)) {
        throw new Error(`upload ${way}: ${answer.status} ${answer.body.toString()}`)
      }
      count('upload again')
    }
    throw new Error(`no upload of ${blob.digest} ended well`)
  }

  async function upload(
    repository: string,
    { digest, bytes }: Content,
    way: (typeof ways)[number],
  ): Promise<Answer | undefined> {
    if (way === 'single') {
      const path = withDigest(uploadsOf(repository), digest)
      return ask.once({ method: 'POST', path, headers: octets, body: bytes })
    }
    const session = await start(repository)
    switch (way) {
      case 'whole':
        return ask.once({ method: 'PUT', path: withDigest(session, digest), headers: octets, body: bytes })
      case 'streamed': {
        const sent = await ask.once({ method: 'PATCH', path: session, headers: octets, body: bytes })
        if (sent?.status !== 202) return sent
        return ask.once({ method: 'PUT', path: withDigest(locationOf(sent), digest) })
      }
      case 'chunked':
    }
    return sendChunks(session, { digest, bytes })
  }

  /** Goes on where the store says that the upload stands, whatever became of the request before. */
  async function sendChunks(session: string, { digest, bytes }: Content): Promise<Answer | undefined> {
    const size = Math.max(16, Math.ceil(bytes.length / (2 + random.below(4))))
    const path = withDigest(session, digest)
    for (let i = 0; i < maxTries; i++) {
      const status = await ask.again({ method: 'GET', path: session }, [204, 404])
      if (status.status === 404) return status
      const last = Number(/^0-(\d+)$/.exec(status.headers.get('range') ?? '')?.[1] ?? 0)
      const offset = last === 0 ? 0 : last + 1
      if (offset === bytes.length) {
        const closed = await ask.once({ method: 'PUT', path })
        if (closed !== undefined) return closed
        continue
      }
      const body = bytes.subarray(offset, offset + size)
      const headers = { ...octets, 'content-range': `${offset}-${offset + body.length - 1}` }
      const isLast = offset + body.length === bytes.length
      // The last chunk may travel with the closing request.
      if (isLast && random.below(2) === 0) {
        const closed = await ask.once({ method: 'PUT', path, headers, body })
        if (closed?.status === 201) return closed
      } else await ask.once({ method: 'PATCH', path: session, headers, body })
    }
    return undefined
  }

  return {
    hold,
    async begin(repository, { bytes }) {
      const session = await start(repository)
      await ask.once({ method: 'PATCH', path: session, headers: octets, body: bytes })
      return session
    },
  }
}
