/** Tags that are created once, against everybody who could move them or take their manifest away. */
import { createImmutableTags } from '../../../src/registry/immutable.ts'
import { a, digestOf } from '../facts.ts'
import { longMs, shortMs } from '../simulation.ts'
import { linked, m, n, starter, tagged, untagged, type Scenario } from './preparation.ts'

const immutableTags = createImmutableTags([{ repositories: '**', tags: 'T' }], 'rules')

export const immutable: readonly Scenario[] = [
  {
    name: 'immutable: two pushes create it at once | sweep',
    immutableTags,
    shorts: 1,
    kills: 1,
    async start(simulation, facts) {
      await linked(simulation, 'fresh')
      const { client, sweeps } = starter(simulation, facts)
      client('push1', (each) => each.push(a, m, 'T'))
      client('push2', (each) => each.push(a, n, 'T'))
      sweeps(1, 'garbage')
    },
  },
  {
    name: 'immutable: two pushes create it at once',
    immutableTags,
    isSmall: true,
    async start(simulation, facts) {
      await linked(simulation, 'fresh')
      const { client } = starter(simulation, facts)
      client('push1', (each) => each.push(a, m, 'T'))
      client('push2', (each) => each.push(a, n, 'T'))
    },
  },
  {
    name: 'immutable: it is pushed | DELETE of its manifest',
    immutableTags,
    kills: 1,
    isSmall: true,
    async start(simulation, facts) {
      await tagged(simulation)
      const { client } = starter(simulation, facts)
      client('delete', (each) => each.remove(a, m))
      client('push', (each) => each.push(a, m, 'T'))
    },
  },
  {
    name: 'immutable: it is created for a manifest that is there | DELETE of that | a push of another',
    immutableTags,
    async start(simulation, facts) {
      await untagged(simulation)
      const { client } = starter(simulation, facts)
      client('delete', (each) => each.remove(a, m))
      client('push1', (each) => each.push(a, m, 'T'))
      client('push2', (each) => each.push(a, n, 'T'))
    },
  },
  {
    name: 'immutable: a push that sleeps past its entries | sweep | DELETE of its manifest',
    immutableTags,
    longs: 2,
    async start(simulation, facts) {
      await linked(simulation, 'fresh')
      const { client, sweeps } = starter(simulation, facts)
      client('push', (each) => each.push(a, m, 'T'))
      client('delete', (each) => each.remove(a, m))
      sweeps(1, 'all', 2)
    },
  },
  {
    name: 'immutable: a push that sleeps past its entries, then again | sweep | DELETE of its manifest',
    immutableTags,
    longs: 1,
    async start(simulation, facts) {
      await linked(simulation, 'fresh')
      const { client, sweeps } = starter(simulation, facts)
      client('push', (each) => each.push(a, m, 'T'))
      await simulation.advance('push', 'write tags/')
      simulation.clock.now += longMs
      client('again', (each) => each.push(a, m, 'T'))
      client('delete', (each) => each.remove(a, m))
      sweeps(1, 'all', 2)
    },
  },
  {
    name: 'immutable: a push that slept is swept | retention of its manifest',
    immutableTags,
    shorts: 1,
    async start(simulation, facts) {
      await untagged(simulation)
      const { client, process } = starter(simulation, facts)
      client('push', (each) => each.push(a, m, 'T'))
      await simulation.advance('push', 'write tags/')
      simulation.clock.now += longMs
      process('sweep', async ({ sweep, retire }) => {
        await sweep.pushes()
        simulation.clock.now += shortMs
        await sweep.garbage()
        await retire(a, digestOf(m))
      })
    },
  },
]
