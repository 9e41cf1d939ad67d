/**
 * How many upload sessions one process keeps open. Sessions are in the store, where another process may end them; so the ones we opened are
 * remembered by name, and looked for only when there are too many.
 */
import { OciError } from '../oci/errors.ts'
import { mapConcurrently } from './concurrently.ts'
import type { Context } from './context.ts'
import { isSessionOpen, type Upload } from './sessions.ts'

export interface OpenUploads {
  /** Opens a session by `open`, or throws TOOMANYREQUESTS. */
  open(open: () => Promise<Upload>): Promise<Upload>
  /** Forgets one that has ended. */
  ended(id: string): void
}

/** How many are looked for at once, oldest first: the next of a crowd of requests finds room for all of them. */
const lookedFor = 64

export function createOpenUploads(context: Context): OpenUploads {
  const { maxOpenUploads, maxParallelCalls } = context.limits
  const ids = new Set<string>()
  let opening = 0
  let looking: Promise<void> | undefined
  const isFull = (): boolean => ids.size + opening >= maxOpenUploads

  async function dropEnded(): Promise<void> {
    const oldest = [...ids.values().take(lookedFor)]
    await mapConcurrently(oldest, maxParallelCalls, async (id) => {
      const isOpen = await isSessionOpen(context, id, {})
      // Still open: the next look begins with others.
      if (ids.delete(id) && isOpen) ids.add(id)
    })
  }

  return {
    async open(open) {
      if (isFull()) {
        looking ??= dropEnded().finally(() => {
          looking = undefined
        })
        await looking
      }
      if (isFull()) throw new OciError('TOOMANYREQUESTS', 'too many uploads are open; close or cancel some')
      opening++
      try {
        const upload = await open()
        ids.add(upload.id)
        return upload
      } finally {
        opening--
      }
    },
    ended: (id) => void ids.delete(id),
  }
}
