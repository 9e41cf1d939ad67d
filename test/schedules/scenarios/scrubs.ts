/** A scrub that repairs, against those whose content it looks at: what is whole must stay, what is damaged must be healed by the next push. */
import * as layout from '../../../src/registry/layout.ts'
import { decodeLink, encodeRecord } from '../../../src/registry/records.ts'
import { createClient } from '../client.ts'
import { a, b, digestOf, type Facts } from '../facts.ts'
import { longMs, type Process, type Simulation } from '../simulation.ts'
import { idOf, linked, m, type Scenario, starter, tagged } from './preparation.ts'

async function readBlob({ store }: Simulation): Promise<string | undefined> {
  const link = await store.read(layout.linkKey(digestOf('x'), a))
  const [segment] = link === undefined ? [] : decodeLink(link.bytes).segments
  const stored = segment && (await store.read(segment.key))
  return stored?.bytes.toString()
}

/** The bytes of `x` become others, as on a disk that lies. Whoever is told of them has no promise, so nothing is asked of that. */
async function damage(simulation: Simulation, facts: Facts): Promise<void> {
  const id = await idOf(simulation)
  const { entries } = await simulation.store.list(layout.dataPrefix(id), { limit: 1 })
  await simulation.store.write(entries[0]?.key ?? '', Buffer.from('y'))
  for (const repository of [a, b]) facts.deleted.push({ repository, what: digestOf('x') })
}

/** Nothing is left of the upload, and the bytes are old: only links lead to them. An entry lets the sweep find them in the end. */
async function forgetUploads({ store, clock }: Simulation): Promise<void> {
  const { entries } = await store.list(layout.uploadsPrefix, { limit: 100 })
  for (const { key } of entries) await store.remove(key)
  await store.write(layout.garbageKey('x'), encodeRecord({ digests: [digestOf('x')] }))
  clock.now += longMs
}

export const scrubs: readonly Scenario[] = [
  {
    name: 'scrub | upload | push | sweep of one blob',
    longs: 1,
    kills: 1,
    async start(simulation, facts) {
      await linked(simulation, 'old')
      const { client, process, sweeps } = starter(simulation, facts)
      process('scrub', async ({ scrub }) => void (await scrub.run('delete damaged')))
      client('upload', (each) => each.upload(b, 'x'))
      client('push', async (each) => {
        await each.head(a, 'x')
        await each.push(a, m, 'T')
      })
      sweeps(1)
    },
  },
  {
    name: 'scrub | a manifest and its blob are deleted and pushed again | sweep',
    longs: 1,
    async start(simulation, facts) {
      await tagged(simulation)
      const { client, process, sweeps } = starter(simulation, facts)
      process('scrub', async ({ scrub }) => void (await scrub.run('delete damaged')))
      client('delete', (each) => each.remove(a, m))
      client('push', async (each) => {
        await each.upload(a, 'x')
        await each.push(a, m, 'T')
      })
      sweeps(1)
    },
  },
  {
    name: 'a mount is about to link bytes | scrub of what nobody links',
    kills: 1,
    isSmall: true,
    async start(simulation, facts) {
      await linked(simulation, 'old')
      await forgetUploads(simulation)
      const { client, process } = starter(simulation, facts)
      client('mount', (each) => each.mount(b, 'x', a))
      await simulation.advance('mount', 'write blobs/')
      await createClient(simulation.outside, facts).removeBlob(a, 'x')
      process('scrub', async ({ scrub }) => void (await scrub.run('repair', { from: 'data/' })))
    },
  },
  {
    name: 'scrub of a damaged blob, then its upload | upload and mount elsewhere | collector',
    longs: 1,
    async start(simulation, facts) {
      await linked(simulation, 'old')
      await damage(simulation, facts)
      const { client, process, collectors } = starter(simulation, facts)
      process('scrub', async (each: Process) => {
        await each.scrub.run('repair')
        await createClient(each, facts).upload(a, 'x')
        const bytes = await readBlob(simulation)
        if (bytes !== undefined && bytes !== 'x')
          facts.violations.push('a blob that was uploaded after the scrub is damaged')
      })
      client('upload', (each) => each.upload(b, 'x'))
      client('mount', (each) => each.mount(b, 'x', a))
      await collectors(1)
    },
  },
]
