/** A store whose promote is a copy that takes time, as on S3. */
import { a } from '../facts.ts'
import { longMs } from '../simulation.ts'
import { m, index, linked, tagged, starter, type Scenario } from './preparation.ts'

export const slowCopies: readonly Scenario[] = [
  {
    name: 'slow copy: push | it is taken back | collector',
    longs: 2,
    promotion: 'slow copy',
    async start(simulation, facts) {
      await linked(simulation, 'fresh')
      const { client, sweeps, collectors } = starter(simulation, facts)
      client('push', (each) => each.push(a, m, 'T'))
      sweeps(1, 'pushes', 2)
      await collectors(1)
    },
  },
  {
    name: 'slow copy: upload | sweeps of uploads',
    longs: 1,
    shorts: 1,
    kills: 1,
    promotion: 'slow copy',
    async start(simulation, facts) {
      const { client, sweeps } = starter(simulation, facts)
      client('upload', (each) => each.upload(a, 'x'))
      sweeps(1, 'uploads', 3)
    },
  },
  {
    name: 'slow copy: push of an index | it is taken back | DELETE of its entry',
    longs: 1,
    shorts: 1,
    promotion: 'slow copy',
    async start(simulation, facts) {
      await tagged(simulation)
      const { client, sweeps } = starter(simulation, facts)
      client('push', (each) => each.push(a, index, 'I'))
      sweeps(1, 'pushes', 2)
      client('delete', (each) => each.remove(a, m))
    },
  },
  {
    name: 'slow copy: a push of an index that slept | it is taken back | DELETE of its entry',
    promotion: 'slow copy',
    async start(simulation, facts) {
      await tagged(simulation)
      const { client, sweeps } = starter(simulation, facts)
      client('push', (each) => each.push(a, index, 'I'))
      await simulation.advance('push', 'copy pushes/')
      simulation.clock.now += longMs
      sweeps(1, 'pushes')
      await simulation.advance('sweep1', 'remove pushes/')
      client('delete', (each) => each.remove(a, m))
    },
  },
  {
    name: 'slow copy: manifest push | full sweep',
    longs: 1,
    shorts: 1,
    kills: 1,
    promotion: 'slow copy',
    async start(simulation, facts) {
      await linked(simulation, 'fresh')
      const { client, sweeps } = starter(simulation, facts)
      client('push', (each) => each.push(a, m, 'T'))
      sweeps(1, 'all', 2)
    },
  },
]
