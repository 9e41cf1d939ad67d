/** GETs by a process that has read before, against everybody who changes what it read. */
import { createClient } from '../client.ts'
import { a, createFacts } from '../facts.ts'
import { shortMs, type Simulation } from '../simulation.ts'
import { m, n, type Scenario, starter, tagged } from './preparation.ts'

/** Too large to be kept by who has read it. */
const large = 'large'.repeat(4000)

const times = [1, 2, 3]

/** A repository with the blob, of which nobody has read anything. */
const uploaded = ({ outside }: Simulation, blob: string): Promise<void> =>
  createClient(outside, createFacts()).upload(a, blob)

const ofBlob = (name: string, blob: string): Scenario => ({
  name: `GET of a ${name} blob, again and again | DELETE, and it is uploaded anew | sweep`,
  shorts: 1,
  longs: 1,
  async start(simulation, facts) {
    await uploaded(simulation, blob)
    const { client, sweeps } = starter(simulation, facts)
    client('get', async (each) => {
      for (const _ of times) await each.get(a, blob)
    })
    client('change', async (each) => {
      await each.removeBlob(a, blob)
      await each.upload(a, blob)
    })
    sweeps(1)
  },
})

export const readers: readonly Scenario[] = [
  ofBlob('small', 'x'),
  ofBlob('large', large),
  {
    name: 'GET by tag, again and again | the tag moves to N | DELETE of M',
    async start(simulation, facts) {
      await tagged(simulation)
      const { client } = starter(simulation, facts)
      client('get', async (each) => {
        for (const _ of times) await each.getTag(a, 'T')
      })
      client('push', (each) => each.push(a, n, 'T'))
      client('delete', (each) => each.remove(a, m))
    },
  },
  {
    name: 'GET by tag, again and again | DELETE of the tag, and it is pushed anew | sweep',
    shorts: 1,
    async start(simulation, facts) {
      await tagged(simulation)
      const { client, sweeps } = starter(simulation, facts)
      simulation.clock.now += shortMs
      client('get', async (each) => {
        for (const _ of times) await each.getTag(a, 'T')
      })
      client('change', async (each) => {
        await each.remove(a, 'T')
        await each.push(a, m, 'T')
      })
      sweeps(1, 'garbage')
    },
  },
]
