/** Measures one operation on its servers in turns. */
import { run } from '../clients/process.ts'
import { watchMemory } from './memory.ts'
import { type Operation, type Sample, toSample } from './operation.ts'
import type { Server, ServerName } from './servers.ts'
import { type Results, summarise } from './table.ts'

/** How often the memory of a server is looked at: that costs a little CPU, too. */
const memoryEveryMs = 250

/** Lets Berth do what a quick run has no round for. */
export async function warmUp(operations: readonly Operation[], servers: readonly Server[]): Promise<void> {
  const berth = servers.find(({ name }) => name === 'berth')
  if (berth === undefined) return
  for (const operation of operations) if (operation.isWarmUp === true) await measure(operation, berth)
}

export interface Rounds {
  readonly rounds: number
  /** Whether a first one that does not count goes before; large pushes have none. */
  readonly warmUp: boolean
}

/** In each round the servers come in an order that moves on by one. */
export async function measureInTurns(
  operation: Operation,
  servers: readonly Server[],
  { rounds, warmUp }: Rounds,
): Promise<Results> {
  const takePart = operation.servers.flatMap((name) => servers.find((server) => server.name === name) ?? [])
  const samples = new Map<ServerName, Sample[]>(takePart.map(({ name }) => [name, []]))
  const first = warmUp && operation.isLarge === undefined ? -1 : 0
  for (let round = first; round < rounds; round++) {
    for (let place = 0; place < takePart.length; place++) {
      const server = takePart[(place + round + takePart.length) % takePart.length]
      if (server === undefined) continue
      const sample = await measure(operation, server)
      if (round >= 0) samples.get(server.name)?.push(sample)
    }
  }
  return new Map([...samples].map(([name, list]) => [name, summarise(list)]))
}

async function measure(operation: Operation, server: Server): Promise<Sample> {
  // What was left to write goes to the disk before.
  if (operation.isLarge === true) await run('sync', ['--file-system', server.folder])
  const stopWatching = watchMemory(server.pid, memoryEveryMs)
  const before = await server.readCpu()
  try {
    const work = await operation.measure(server)
    const cpuSeconds = (await server.readCpu()) - before
    const { bytes } = await stopWatching()
    return toSample(operation.unit, work, { cpuSeconds, peakBytes: bytes })
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error)
    throw new Error(`${operation.name}, ${server.name}: ${message}`, { cause: error })
  } finally {
    await stopWatching()
    if (operation.isLarge === true) await server.forget()
  }
}
