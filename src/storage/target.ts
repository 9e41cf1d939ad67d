/** Writing to somebody's stream with one chunk in flight. Shared by the drivers; knows nothing of where the bytes come from. */
import type { Writable } from 'node:stream'
import type { Cancel } from './driver.ts'

/** Settles when the target has taken the chunk; the chunk may be reused then. */
export type WriteChunk = (chunk: Uint8Array) => Promise<void>

/**
 * Runs `copy` with a function that writes to `target`. That function rejects when the target closes or fails (a stream that closed calls
 * no write callback any more) or the signal aborts, also while it waits. After a rejection the target may still hold the last chunk.
 */
export async function withTarget(
  target: Writable,
  { signal }: Cancel,
  copy: (write: WriteChunk) => Promise<void>,
): Promise<void> {
  signal?.throwIfAborted()
  let stopped: { readonly error: unknown } | undefined
  let rejectWaiting: (error: unknown) => void = () => undefined
  const stop = (error: unknown) => {
    stopped ??= { error }
    rejectWaiting(error)
  }
  const onClose = () => stop(new Error('the target closed before the copy was complete'))
  const onAbort = () => stop(signal?.reason)
  if (!target.writable) onClose()
  target.on('close', onClose)
  target.on('error', stop)
  signal?.addEventListener('abort', onAbort)
  try {
    await copy(
      (chunk) =>
        new Promise((resolve, reject) => {
          rejectWaiting = reject
          if (stopped !== undefined) reject(stopped.error)
          else target.write(chunk, (error) => (error ? reject(error) : resolve()))
        }),
    )
  } finally {
    target.off('close', onClose)
    target.off('error', stop)
    signal?.removeEventListener('abort', onAbort)
  }
}
