/** HEAD, mounts and collectors of one blob. */
import { createClient } from '../client.ts'
import { a, b } from '../facts.ts'
import { longMs } from '../simulation.ts'
import { linked, starter, type Scenario } from './preparation.ts'

export const blobs: readonly Scenario[] = [
  {
    name: 'HEAD | two collectors',
    longs: 1,
    kills: 1,
    isSmall: true,
    async start(simulation, facts) {
      await linked(simulation, 'old')
      const { client, collectors } = starter(simulation, facts)
      client('head', (each) => each.head(a, 'x'))
      await collectors(2)
    },
  },
  {
    name: 'mount | two collectors',
    longs: 1,
    kills: 1,
    isSmall: true,
    async start(simulation, facts) {
      await linked(simulation, 'old')
      const { client, collectors } = starter(simulation, facts)
      client('mount', (each) => each.mount(b, 'x', a))
      await collectors(2)
    },
  },
  {
    name: 'HEAD in two repositories | collector',
    longs: 1,
    async start(simulation, facts) {
      await linked(simulation, 'fresh')
      await createClient(simulation.outside, facts).mount(b, 'x', a)
      simulation.clock.now += longMs
      facts.told.length = 0
      const { client, collectors } = starter(simulation, facts)
      client('head1', (each) => each.head(a, 'x'))
      client('head2', (each) => each.head(b, 'x'))
      await collectors(1)
    },
  },
]
