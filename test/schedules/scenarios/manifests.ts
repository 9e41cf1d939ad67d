/** Pushes of manifests against collectors, sweeps and each other. */
import { createClient } from '../client.ts'
import { a, digestOf } from '../facts.ts'
import { m, n, index, idOf, linked, tagged, starter, type Scenario } from './preparation.ts'

export const manifests: readonly Scenario[] = [
  {
    name: 'manifest push | two collectors, the lease may end at any step',
    longs: 1,
    kills: 1,
    async start(simulation, facts) {
      await linked(simulation, 'fresh')
      const { client, collectors } = starter(simulation, facts)
      client('push', (each) => each.push(a, m, 'T'))
      await collectors(2)
    },
  },
  {
    name: 'manifest push | collector',
    longs: 1,
    isSmall: true,
    async start(simulation, facts) {
      await linked(simulation, 'old')
      const { client, collectors } = starter(simulation, facts)
      client('push', (each) => each.push(a, m, 'T'))
      await collectors(1)
    },
  },
  {
    name: 'manifest push | two collectors of an old link',
    async start(simulation, facts) {
      await linked(simulation, 'old')
      const { client, collectors } = starter(simulation, facts)
      client('push', (each) => each.push(a, m, 'T'))
      await collectors(2)
    },
  },
  {
    name: 'a collector has looked once | manifest push',
    async start(simulation, facts) {
      await linked(simulation, 'old')
      const { client, collectors } = starter(simulation, facts)
      await collectors(1)
      await simulation.advance('collector1', 'write data/')
      client('push', (each) => each.push(a, m, 'T'))
    },
  },
  {
    name: 'a collector has looked twice | manifest push | another collector',
    async start(simulation, facts) {
      await linked(simulation, 'old')
      const { client, collectors } = starter(simulation, facts)
      await collectors(2)
      await simulation.advance('collector2', 'remove data/')
      await simulation.advance('collector1', 'write data/')
      client('push', (each) => each.push(a, m, 'T'))
    },
  },
  {
    name: 'manifest push | sweeps that take it back',
    longs: 2,
    kills: 1,
    async start(simulation, facts) {
      await linked(simulation, 'fresh')
      const { client, sweeps } = starter(simulation, facts)
      client('push', (each) => each.push(a, m, 'T'))
      sweeps(1, 'all', 2)
    },
  },
  {
    name: 'manifest push | pushes are taken back, then a collector',
    longs: 2,
    async start(simulation, facts) {
      await linked(simulation, 'fresh')
      const { client, process } = starter(simulation, facts)
      const id = await idOf(simulation)
      client('push', (each) => each.push(a, m, 'T'))
      process('sweep', async ({ sweep }) => {
        await sweep.pushes()
        await sweep.collect(id, digestOf('x'))
      })
    },
  },
  {
    name: 'HEAD, then push within the lease | collector',
    longs: 1,
    async start(simulation, facts) {
      await linked(simulation, 'old')
      const { client, collectors } = starter(simulation, facts)
      client('client', async (each) => {
        await each.head(a, 'x')
        await each.push(a, m, 'T')
      })
      await collectors(1)
    },
  },
  {
    name: 'upload, then push | another upload | collector',
    longs: 1,
    async start(simulation, facts) {
      await linked(simulation, 'old')
      const { client, collectors } = starter(simulation, facts)
      client('client', async (each) => {
        await each.upload(a, 'x')
        await each.push(a, m, 'T')
      })
      client('other', (each) => each.upload(a, 'x'))
      await collectors(1)
    },
  },
  {
    name: 'push | upload that replaces the link | collector',
    async start(simulation, facts) {
      await linked(simulation, 'old')
      const { client, collectors } = starter(simulation, facts)
      client('push', (each) => each.push(a, m, 'T'))
      client('upload', (each) => each.upload(a, 'x'))
      await collectors(1)
    },
  },
  {
    name: 'HEAD, then push | upload that replaces the link | collector',
    async start(simulation, facts) {
      await linked(simulation, 'old')
      const { client, collectors } = starter(simulation, facts)
      client('client', async (each) => {
        await each.head(a, 'x')
        await each.push(a, m, 'T')
      })
      client('upload', (each) => each.upload(a, 'x'))
      await collectors(1)
    },
  },
  {
    name: 'a collector has looked once, then HEAD | push | upload that replaces the link',
    async start(simulation, facts) {
      await linked(simulation, 'old')
      const { client, collectors } = starter(simulation, facts)
      await collectors(1)
      await simulation.advance('collector1', 'write data/')
      await createClient(simulation.outside, facts).head(a, 'x')
      client('push', (each) => each.push(a, m, 'T'))
      client('upload', (each) => each.upload(a, 'x'))
    },
  },
  {
    name: 'two pushes of M under two tags | collector',
    longs: 1,
    async start(simulation, facts) {
      await linked(simulation, 'fresh')
      const { client, collectors } = starter(simulation, facts)
      client('push1', (each) => each.push(a, m, 'T'))
      client('push2', (each) => each.push(a, m, 'U'))
      await collectors(1)
    },
  },
  {
    name: 'an index with its entry is deleted | the index is pushed again',
    longs: 1,
    async start(simulation, facts) {
      await tagged(simulation)
      await createClient(simulation.outside, facts).push(a, index, 'I')
      const { client, sweeps } = starter(simulation, facts)
      client('delete', async (each) => {
        await each.remove(a, index)
        await each.remove(a, m)
      })
      client('push', (each) => each.push(a, index, 'J'))
      sweeps(1, 'garbage')
    },
  },
  {
    name: 'tag moves from M to N | sweep',
    shorts: 1,
    kills: 1,
    isSmall: true,
    async start(simulation, facts) {
      await tagged(simulation)
      const { client, sweeps } = starter(simulation, facts)
      client('push', (each) => each.push(a, n, 'T'))
      sweeps(1, 'garbage')
    },
  },
]
