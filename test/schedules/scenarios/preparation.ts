/** What a scenario is, the stores they start from, and who can be started. */
import { Readable } from 'node:stream'
import { computeDigest, type Digest } from '../../../src/oci/digest.ts'
import * as layout from '../../../src/registry/layout.ts'
import { decodeLink } from '../../../src/registry/records.ts'
import { chunkOf } from '../../registry/harness.ts'
import { createClient } from '../client.ts'
import { a, b, createFacts, digestOf, type Facts, imageOf, indexOf } from '../facts.ts'
import { longMs, type Process, type Simulation, type SimulationOptions } from '../simulation.ts'

export interface Scenario extends Omit<SimulationOptions, 'chooser' | 'defect' | 'openStore'> {
  readonly name: string
  /** Prepares the store and starts the processes. */
  readonly start: (simulation: Simulation, facts: Facts) => Promise<void>
  /** Whether the bounded exhaustive search covers it too: it must be small. */
  readonly isSmall?: boolean
}

export const m = imageOf('x', 'M')
export const n = imageOf('x', 'N')
export const index = indexOf(m)

export type Client = ReturnType<typeof createClient>

/** What the store holds before the processes start; `old` means that all leases are over. */
export async function prepare(
  { outside, clock }: Simulation,
  content: (client: Client) => Promise<void>,
  age: 'old' | 'fresh',
): Promise<void> {
  await content(createClient(outside, createFacts()))
  if (age === 'fresh') return
  clock.now += longMs
  // What the preparation itself left (claims of ended uploads) is not part of the case.
  await outside.sweep.uploads()
}

/** The id that the link of a repository names. */
export async function idOf({ store }: Simulation, repository = a): Promise<string> {
  const stored = await store.read(layout.linkKey(digestOf('x'), repository))
  if (stored === undefined) throw new Error('the preparation has no link')
  return decodeLink(stored.bytes).id
}

/** `a` holds the blob, nothing names it. Uploads are not swept here: an old link would go with them. */
export async function linked(simulation: Simulation, age: 'old' | 'fresh'): Promise<void> {
  await prepare(simulation, (client) => client.upload(a, 'x'), 'fresh')
  if (age === 'old') simulation.clock.now += longMs
}

/** `a` holds the blob and the manifest M under the tag T; all leases are over. */
export const tagged = (simulation: Simulation): Promise<void> =>
  prepare(
    simulation,
    async (client) => {
      await client.upload(a, 'x')
      await client.push(a, m, 'T')
    },
    'old',
  )

/** `a` holds the blob and the manifest M, which nothing names; all leases are over. */
export const untagged = (simulation: Simulation): Promise<void> =>
  prepare(
    simulation,
    async (client) => {
      await client.upload(a, 'x')
      await client.push(a, m, digestOf(m))
    },
    'old',
  )

/**
 * `a` holds a blob whose two bodies came to two processes, and a manifest of it under the tag T. Of the upload's claims, which are there still, only the one
 * of the closing request says the digest. All leases are over.
 */
export async function chunked({ outside, createOutside, clock }: Simulation): Promise<void> {
  const { uploads } = createOutside().registry
  const { id } = await outside.registry.uploads.start(a, { by: 'client' })
  await outside.registry.uploads.append(a, id, chunkOf('x'))
  await uploads.append(a, id, chunkOf('y', 1))
  await uploads.close(a, id, digestOf('xy'), undefined)
  await createClient(outside, createFacts()).push(a, imageOf('xy', 'M'), 'T')
  clock.now += longMs
}

/** `a` holds a blob under two digests, as two requests that close one upload leave it, and M names it by the first. Returns the second; all leases are over. */
export async function linkedTwice(simulation: Simulation): Promise<Digest> {
  const { store, outside, clock } = simulation
  const client = createClient(outside, createFacts())
  await client.upload(a, 'x')
  await client.push(a, m, 'T')
  const second = computeDigest('sha512', Buffer.from('x'))
  const link = await store.read(layout.linkKey(digestOf('x'), a))
  if (link === undefined) throw new Error('the preparation has no link')
  await store.write(layout.closedAsKey(decodeLink(link.bytes).id, second), Buffer.alloc(0))
  await store.write(layout.linkKey(second, a), link.bytes)
  clock.now += longMs
  return second
}

/** Starts clients and collectors by name. */
export function starter(simulation: Simulation, facts: Facts) {
  return {
    client: (name: string, run: (client: Client) => Promise<void>): void =>
      simulation.start(name, (process) => run(createClient(process, facts))),
    process: (name: string, run: (process: Process) => Promise<void>): void => simulation.start(name, run),
    collectors: async (count: number, repository = a): Promise<void> => {
      const id = await idOf(simulation, repository)
      for (let i = 1; i <= count; i++) {
        simulation.start(`collector${i}`, async ({ sweep }) => void (await sweep.collect(id, digestOf('x'))))
      }
    },
    sweeps: (count: number, part: 'all' | 'pushes' | 'garbage' | 'uploads' = 'all', times = 1): void => {
      for (let i = 1; i <= count; i++) {
        simulation.start(`sweep${i}`, async ({ sweep }) => {
          for (let k = 0; k < times; k++) await sweep[part]()
        })
      }
    },
  }
}

export async function openUpload({ outside }: Simulation, text: string): Promise<string> {
  const { id } = await outside.registry.uploads.start(b, { by: 'client' })
  await outside.registry.uploads.append(b, id, { body: Readable.from([Buffer.from(text)]), length: text.length })
  return id
}
