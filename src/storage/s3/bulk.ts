/** Bytes of large objects, by connections that are used again for a short while. What is not a plain answer is left to whoever reads errors. */
import type { ByteRange, Cancel } from '../driver.ts'
import type { Opened, OpenedBody } from './bucket.ts'
import { S3Error } from './errors.ts'
import { type Line, type LineOptions, openLine, type ResponseHead } from './line.ts'
import { readHead } from './response.ts'

export interface BulkQuery extends Cancel {
  /** At least one byte. */
  readonly range: ByteRange
  /** The request as it goes over the wire. */
  readonly request: string
}

export interface Bulk {
  /** `undefined` when the answer is anything but exactly that range. */
  fetch(query: BulkQuery): Promise<Opened | undefined>
  close(): void
}

/** A connection waits so long for its next use: shorter than servers keep one that does nothing. */
const idleMs = 4000
const maxIdle = 16

function createLines(options: LineOptions) {
  const all = new Set<Line>()
  const idle = new Map<Line, NodeJS.Timeout>()
  let isClosed = false
  function forget(line: Line): void {
    clearTimeout(idle.get(line))
    idle.delete(line)
  }
  return {
    open(): Line {
      if (isClosed) throw new S3Error('Closed', undefined, 'the driver is closed')
      const line = openLine(options, () => all.delete(line))
      all.add(line)
      return line
    },
    /** One that waits for its next use. */
    take(): Line | undefined {
      for (const line of [...idle.keys()].toReversed()) {
        forget(line)
        if (line.isUsable()) return line
        line.destroy()
      }
      return undefined
    },
    keep(line: Line): void {
      if (idle.size >= maxIdle || !line.isUsable()) return line.destroy()
      const timer = setTimeout(() => {
        idle.delete(line)
        line.destroy()
      }, idleMs)
      idle.set(line, timer.unref())
    },
    /** Also those in use. */
    close(): void {
      isClosed = true
      for (const line of all) {
        forget(line)
        line.destroy()
      }
    },
  }
}

/** Whether the body is the range, and nothing around it. RFC 9110, section 15.3.7; RFC 9112, section 6. */
function isPlain({ status, isPersistent, headers }: ResponseHead, { start, end }: ByteRange): boolean {
  if (status !== 206 || !isPersistent || headers['transfer-encoding'] !== undefined) return false
  if (headers['content-length'] !== String(end - start)) return false
  return headers['content-range']?.startsWith(`bytes ${start}-${end - 1}/`) === true
}

async function ask(line: Line, { request, signal }: BulkQuery): Promise<ResponseHead> {
  const onAbort = (): void => line.destroy()
  signal?.addEventListener('abort', onAbort)
  try {
    return await line.ask(request)
  } finally {
    signal?.removeEventListener('abort', onAbort)
  }
}

export function createBulk(options: LineOptions): Bulk {
  const lines = createLines(options)

  /** One that was used before may have been closed by the store meanwhile. */
  async function askAny(query: BulkQuery): Promise<{ readonly line: Line; readonly head: ResponseHead }> {
    const used = lines.take()
    if (used !== undefined) {
      const head = await ask(used, query).catch(() => undefined)
      if (head !== undefined) return { line: used, head }
      used.destroy()
      query.signal?.throwIfAborted()
    }
    const line = lines.open()
    try {
      return { line, head: await ask(line, query) }
    } catch (error) {
      line.destroy()
      throw error
    }
  }

  function createBody(line: Line, size: number, mayStay: boolean): OpenedBody {
    let isOver = false
    return {
      async copy(write) {
        await line.copy(size, write)
        isOver = true
        if (mayStay) lines.keep(line)
        else line.destroy()
      },
      destroy() {
        if (!isOver) line.destroy()
        isOver = true
      },
    }
  }

  return {
    async fetch(query) {
      const { range, signal } = query
      signal?.throwIfAborted()
      const { line, head } = await askAny(query)
      if (!isPlain(head, range)) {
        line.destroy()
        return undefined
      }
      const mayStay = head.headers['connection']?.toLowerCase() !== 'close'
      try {
        return { ...readHead(head.headers), body: createBody(line, range.end - range.start, mayStay) }
      } catch (error) {
        line.destroy()
        throw error
      }
    },
    close: () => lines.close(),
  }
}
