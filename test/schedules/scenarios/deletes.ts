/** DELETE of manifests, tags and blobs against everybody else. */
import * as layout from '../../../src/registry/layout.ts'
import { createClient } from '../client.ts'
import { a, b, createFacts } from '../facts.ts'
import { longMs, shortMs } from '../simulation.ts'
import { m, n, index, idOf, linked, tagged, starter, type Scenario } from './preparation.ts'

export const deletes: readonly Scenario[] = [
  {
    name: 'DELETE of M | its tag moves to N',
    kills: 1,
    isSmall: true,
    async start(simulation, facts) {
      await tagged(simulation)
      const { client } = starter(simulation, facts)
      client('delete', (each) => each.remove(a, m))
      client('push', (each) => each.push(a, n, 'T'))
    },
  },
  {
    name: 'DELETE of M | M is pushed again under another tag',
    isSmall: true,
    async start(simulation, facts) {
      await tagged(simulation)
      const { client } = starter(simulation, facts)
      client('delete', (each) => each.remove(a, m))
      client('push', (each) => each.push(a, m, 'U'))
    },
  },
  {
    name: 'DELETE of M, killed before its tag is gone | sweep | M is pushed under another tag, then under its own',
    async start(simulation, facts) {
      await tagged(simulation)
      const { client, sweeps } = starter(simulation, facts)
      client('delete', (each) => each.remove(a, m))
      await simulation.advance('delete', 'remove tags/')
      simulation.kill('delete')
      facts.deleted.length = 0
      simulation.clock.now += shortMs
      client('push', async (each) => {
        await each.push(a, m, 'U')
        await each.push(a, m, 'T')
      })
      sweeps(1, 'garbage')
    },
  },
  {
    name: 'DELETE of M | M is pushed again | sweep',
    longs: 1,
    async start(simulation, facts) {
      await tagged(simulation)
      const { client, sweeps } = starter(simulation, facts)
      client('delete', (each) => each.remove(a, m))
      client('push', (each) => each.push(a, m, 'U'))
      sweeps(1)
    },
  },
  {
    name: 'DELETE of a blob | push that names it | collector',
    longs: 1,
    async start(simulation, facts) {
      await linked(simulation, 'old')
      const { client, collectors } = starter(simulation, facts)
      client('delete', (each) => each.removeBlob(a, 'x'))
      client('push', (each) => each.push(a, m, 'T'))
      await collectors(1)
    },
  },
  {
    name: 'DELETE of a blob | it is uploaded anew',
    longs: 1,
    kills: 1,
    isSmall: true,
    async start(simulation, facts) {
      await linked(simulation, 'old')
      const { client } = starter(simulation, facts)
      client('delete', (each) => each.removeBlob(a, 'x'))
      client('upload', (each) => each.upload(a, 'x'))
    },
  },
  {
    name: 'DELETE of M | collector of its blob | HEAD',
    longs: 1,
    kills: 1,
    async start(simulation, facts) {
      await tagged(simulation)
      const { client, collectors } = starter(simulation, facts)
      client('delete', (each) => each.remove(a, m))
      client('head', (each) => each.head(a, 'x'))
      await collectors(1)
    },
  },
  {
    name: 'an index names M | two DELETEs of M',
    kills: 1,
    async start(simulation, facts) {
      await tagged(simulation)
      const { client } = starter(simulation, facts)
      client('push', (each) => each.push(a, index, 'I'))
      client('delete1', (each) => each.remove(a, m))
      client('delete2', (each) => each.remove(a, m))
    },
  },
  {
    name: 'a sweep has read that M is gone | M is pushed again, DELETE of M | an index names M',
    async start(simulation, facts) {
      await tagged(simulation)
      await createClient(simulation.outside, facts).remove(a, m)
      facts.deleted.length = 0
      simulation.clock.now += shortMs
      const { client, sweeps } = starter(simulation, facts)
      sweeps(1, 'garbage')
      await simulation.advance('sweep1', 'list named/', 2)
      await createClient(simulation.outside, createFacts()).push(a, m, 'T')
      client('delete', (each) => each.remove(a, m))
      client('push', (each) => each.push(a, index, 'I'))
    },
  },
  {
    name: 'a mark left by a killed collector | HEAD, upload, push | DELETE of M',
    longs: 1,
    async start(simulation, facts) {
      await tagged(simulation)
      const id = await idOf(simulation)
      await simulation.store.write(layout.dataMarkKey(id, 'dead'), Buffer.alloc(0))
      simulation.clock.now += 120_000
      const { client } = starter(simulation, facts)
      client('client', async (each) => {
        await each.head(a, 'x')
        await each.upload(a, 'x')
        await each.push(a, n, 'U')
      })
      client('delete', (each) => each.remove(a, m))
    },
  },
  {
    name: 'DELETE of a blob here | push of a manifest that names it there | collector',
    longs: 1,
    async start(simulation, facts) {
      await linked(simulation, 'fresh')
      await createClient(simulation.outside, facts).mount(b, 'x', a)
      simulation.clock.now += longMs
      facts.told.length = 0
      const { client, collectors } = starter(simulation, facts)
      client('delete', (each) => each.removeBlob(a, 'x'))
      client('push', (each) => each.push(b, m, 'T'))
      await collectors(1, b)
    },
  },
  {
    name: 'DELETE of a tag | tag moves | sweep',
    shorts: 1,
    async start(simulation, facts) {
      await tagged(simulation)
      const { client, sweeps } = starter(simulation, facts)
      client('delete', (each) => each.remove(a, 'T'))
      client('push', (each) => each.push(a, n, 'T'))
      sweeps(1, 'garbage')
    },
  },
]
