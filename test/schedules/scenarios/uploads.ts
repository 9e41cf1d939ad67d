/** Uploads and their ends. */
import { createClient } from '../client.ts'
import { a, b, c, imageOf } from '../facts.ts'
import { longMs } from '../simulation.ts'
import { chunked, linkedTwice, m, linked, starter, openUpload, type Scenario } from './preparation.ts'

export const uploads: readonly Scenario[] = [
  {
    name: 'upload of a digest that another repository has | two collectors',
    longs: 1,
    async start(simulation, facts) {
      await linked(simulation, 'old')
      const { client, collectors } = starter(simulation, facts)
      client('upload', (each) => each.upload(b, 'x'))
      await collectors(2)
    },
  },
  {
    name: 'upload of a digest that the repository has | collector',
    longs: 1,
    async start(simulation, facts) {
      await linked(simulation, 'old')
      const { client, collectors } = starter(simulation, facts)
      client('upload', (each) => each.upload(a, 'x'))
      await collectors(1)
    },
  },
  {
    name: 'two uploads of one digest | sweep',
    longs: 1,
    async start(simulation, facts) {
      const { client, sweeps } = starter(simulation, facts)
      client('upload1', (each) => each.upload(a, 'x'))
      client('upload2', (each) => each.upload(a, 'x'))
      sweeps(1)
    },
  },
  {
    name: 'a paused uploader | upload, manifest and sweeps in the meantime',
    longs: 1,
    async start(simulation, facts) {
      const { client, process } = starter(simulation, facts)
      client('old', (each) => each.upload(a, 'x'))
      process('rest', async (rest) => {
        const each = createClient(rest, facts)
        await rest.sweep.all()
        await each.upload(a, 'x')
        await each.push(a, m, 'T')
        await rest.sweep.all()
      })
    },
  },
  {
    name: 'upload | mount | collector',
    longs: 1,
    kills: 1,
    async start(simulation, facts) {
      await linked(simulation, 'old')
      const { client, collectors } = starter(simulation, facts)
      client('upload', (each) => each.upload(b, 'x'))
      client('mount', (each) => each.mount(c, 'x', a))
      await collectors(1)
    },
  },
  {
    name: 'mount | upload into the same repository | collector',
    async start(simulation, facts) {
      await linked(simulation, 'old')
      const { client, collectors } = starter(simulation, facts)
      client('mount', (each) => each.mount(b, 'x', a))
      client('upload', (each) => each.upload(b, 'x'))
      await collectors(1)
    },
  },
  {
    name: 'two mounts, one from anywhere | their source goes, and sweeps',
    async start(simulation, facts) {
      await linked(simulation, 'old')
      const { client, process } = starter(simulation, facts)
      client('mount', (each) => each.mount(b, 'x', a))
      client('other', (each) => each.mount(c, 'x'))
      process('rest', async (rest) => {
        await createClient(rest, facts).removeBlob(a, 'x')
        simulation.clock.now += longMs
        await rest.sweep.all()
        simulation.clock.now += longMs
        await rest.sweep.all()
      })
    },
  },
  {
    name: 'upload | two sweeps of uploads',
    longs: 1,
    kills: 1,
    async start(simulation, facts) {
      const { client, sweeps } = starter(simulation, facts)
      client('upload', (each) => each.upload(a, 'x'))
      sweeps(2, 'uploads')
    },
  },
  {
    name: 'a sweep is about to remove the claims of two bodies that a manifest names | another sweep',
    kills: 1,
    isSmall: true,
    async start(simulation, facts) {
      await chunked(simulation)
      starter(simulation, facts).sweeps(2, 'uploads')
      await simulation.advance('sweep1', 'remove uploads/', 2)
    },
  },
  {
    name: 'a mount by a second digest is about to write | its source goes, and sweeps',
    kills: 1,
    async start(simulation, facts) {
      const second = await linkedTwice(simulation)
      const { client, process } = starter(simulation, facts)
      client('mount', async (each) => {
        await each.mount(b, second, a)
        await each.push(b, imageOf(second, 'N'), 'T')
      })
      await simulation.advance('mount', 'write blobs/')
      process('rest', async (rest) => {
        const each = createClient(rest, facts)
        await each.removeBlob(a, second)
        simulation.clock.now += longMs
        await rest.sweep.all()
        await each.remove(a, m)
        simulation.clock.now += longMs
        await rest.sweep.garbage()
      })
    },
  },
  {
    name: 'an upload that slept is closed | sweep of uploads',
    async start(simulation, facts) {
      const id = await openUpload(simulation, 'x')
      simulation.clock.now += longMs
      const { client, sweeps } = starter(simulation, facts)
      client('close', (each) => each.close(b, id, 'x'))
      sweeps(1, 'uploads')
    },
  },
  {
    name: 'upload | sweep of uploads',
    longs: 1,
    shorts: 1,
    kills: 1,
    isSmall: true,
    async start(simulation, facts) {
      const { client, sweeps } = starter(simulation, facts)
      client('upload', (each) => each.upload(a, 'x'))
      sweeps(1, 'uploads')
    },
  },
  {
    name: 'upload | cancel | sweep',
    longs: 1,
    async start(simulation, facts) {
      const id = await openUpload(simulation, 'x')
      const { client, sweeps } = starter(simulation, facts)
      client('close', (each) => each.close(b, id, 'x'))
      client('cancel', (each) => each.cancel(b, id))
      sweeps(1)
    },
  },
  {
    name: 'two requests close one upload of a digest that another repository has | collector',
    longs: 1,
    async start(simulation, facts) {
      await linked(simulation, 'old')
      const id = await openUpload(simulation, 'x')
      const { client, collectors } = starter(simulation, facts)
      client('close1', (each) => each.close(b, id, 'x'))
      client('close2', (each) => each.close(b, id, 'x'))
      await collectors(1)
    },
  },
]
