/** Retention of manifests that nothing names, against everybody who may begin to name them. */
import { createClient } from '../client.ts'
import { a, createFacts, digestOf } from '../facts.ts'
import { longMs } from '../simulation.ts'
import { index, m, n, prepare, starter, tagged, untagged, type Scenario } from './preparation.ts'

export const retention: readonly Scenario[] = [
  {
    name: 'retention of an untagged M | M gets a tag',
    kills: 1,
    isSmall: true,
    async start(simulation, facts) {
      await untagged(simulation)
      const { client, process } = starter(simulation, facts)
      process('retention', ({ retire }) => retire(a, digestOf(m)))
      client('push', (each) => each.push(a, m, 'U'))
    },
  },
  {
    name: 'retention of an untagged M | DELETE of M | M gets a tag',
    async start(simulation, facts) {
      await untagged(simulation)
      const { client, process } = starter(simulation, facts)
      process('retention', ({ retire }) => retire(a, digestOf(m)))
      client('delete', (each) => each.remove(a, m))
      client('push', (each) => each.push(a, m, 'U'))
    },
  },
  {
    name: 'retention of an untagged M | an index that names M',
    kills: 1,
    isSmall: true,
    async start(simulation, facts) {
      await untagged(simulation)
      const { client, process } = starter(simulation, facts)
      process('retention', ({ retire }) => retire(a, digestOf(m)))
      client('push', (each) => each.push(a, index, 'I'))
    },
  },
  {
    name: 'two retentions of an untagged M | M is pushed again, then its index | sweep',
    shorts: 1,
    async start(simulation, facts) {
      await untagged(simulation)
      const { process, sweeps } = starter(simulation, facts)
      process('retention1', ({ retire }) => retire(a, digestOf(m)))
      process('retention2', ({ retire }) => retire(a, digestOf(m)))
      process('push', async (each) => {
        // Nobody is promised that M stays while nothing names it.
        await createClient(each, createFacts()).push(a, m, digestOf(m))
        await createClient(each, facts).push(a, index, 'I')
      })
      sweeps(1, 'garbage')
    },
  },
  {
    name: 'retention of M | its tag moves away and comes back | sweep',
    shorts: 1,
    async start(simulation, facts) {
      await tagged(simulation)
      const { process, sweeps } = starter(simulation, facts)
      process('retention', ({ retire }) => retire(a, digestOf(m)))
      process('push', async (each) => {
        await createClient(each, createFacts()).push(a, n, 'T')
        await createClient(each, facts).push(a, m, 'T')
      })
      sweeps(1, 'garbage')
    },
  },
  {
    name: 'retention of an index, then of its entry | the index gets a tag',
    async start(simulation, facts) {
      await prepare(
        simulation,
        async (client) => {
          await client.upload(a, 'x')
          await client.push(a, m, digestOf(m))
          await client.push(a, index, digestOf(index))
        },
        'fresh',
      )
      simulation.clock.now += longMs
      const { client, process } = starter(simulation, facts)
      process('retention', async ({ retire }) => {
        await retire(a, digestOf(index))
        await retire(a, digestOf(m))
      })
      client('push', (each) => each.push(a, index, 'I'))
    },
  },
]
