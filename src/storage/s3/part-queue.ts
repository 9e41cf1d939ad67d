/** Which parts are sent when: one always, more while there is memory for them, and in which order they are let go of. It knows nothing of how one is sent. */
import type { GatheredPart } from './gather.ts'
import type { S3Store } from './store.ts'

export interface PartQueue {
  /** Parts so far. */
  readonly count: () => number
  readonly add: (part: GatheredPart) => void
  /** A promise while a part waits to be sent, or when one failed: then it rejects. */
  readonly room: () => Promise<void> | undefined
  /** Resolves when all parts are sent; rejects when one failed. */
  settled(): Promise<void>
  /** Resolves when nothing is on its way any more; what waits is not sent. */
  end(): Promise<void>
}

interface Sent {
  readonly part: GatheredPart
  done: boolean
}

/** Parts on their way: what is done is let go of in their order, as the chunks came. */
function createSentParts({ budget }: Pick<S3Store, 'budget'>, onSent: (part: GatheredPart) => void) {
  const sent: Sent[] = []
  return {
    /** Returns what says that the part is done. */
    add(part: GatheredPart): () => void {
      const entry: Sent = { part, done: false }
      sent.push(entry)
      return () => {
        entry.done = true
        for (let first = sent[0]; first?.done === true; first = sent[0]) {
          sent.shift()
          budget.release(first.part.size)
          onSent(first.part)
        }
      }
    },
    takeAll: (): readonly GatheredPart[] => sent.splice(0).map(({ part }) => part),
  }
}

/** Parts have numbers from 1, in their order. `onSent` is called in that order, too. */
export function createPartQueue(
  store: Pick<S3Store, 'budget' | 'uploadConcurrency'>,
  send: (part: GatheredPart, number: number) => Promise<void>,
  onSent: (part: GatheredPart) => void,
): PartQueue {
  const { budget, uploadConcurrency } = store
  const waiting: GatheredPart[] = []
  const sent = createSentParts(store, onSent)
  const running = new Set<Promise<void>>()
  const failures: unknown[] = []
  let count = 0
  let started = 0

  function maySend(): boolean {
    const [next] = waiting
    if (next === undefined || failures.length > 0) return false
    return running.size === 0 || (running.size < uploadConcurrency && budget.hasRoom(next.size))
  }

  async function run(part: GatheredPart, number: number): Promise<void> {
    const end = sent.add(part)
    try {
      await send(part, number)
      end()
    } catch (error) {
      failures.push(error)
    }
  }

  function pump(): void {
    while (maySend()) {
      const part = waiting.shift()
      if (part === undefined) return
      const one = run(part, ++started)
      running.add(one)
      void one.then(() => {
        running.delete(one)
        return pump()
      })
    }
  }

  async function waitWhile(isBusy: () => boolean): Promise<void> {
    while (isBusy() && failures.length === 0) await Promise.race(running)
    if (failures.length > 0) throw failures[0]
  }

  return {
    count: () => count,
    add(part) {
      count++
      waiting.push(part)
      pump()
    },
    room: () => (waiting.length === 0 && failures.length === 0 ? undefined : waitWhile(() => waiting.length > 0)),
    settled: () => waitWhile(() => waiting.length > 0 || running.size > 0),
    async end() {
      const left = waiting.splice(0)
      await Promise.allSettled(running)
      for (const { size } of [...left, ...sent.takeAll()]) budget.release(size)
    },
  }
}
