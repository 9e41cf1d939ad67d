/** How long a start takes, from the command to the first answer, on an empty store and on a full one. */
import { mkdir, mkdtemp } from 'node:fs/promises'
import { join } from 'node:path'
import { startBerth } from '../clients/berth.ts'
import { createCpuReader } from './cpu.ts'
import { writeFullStore } from './full-store.ts'
import { readMemory } from './memory.ts'
import type { Operation, Work } from './operation.ts'
import { startDistribution } from './references.ts'
import { berthSettings, type Server, type ServerName } from './servers.ts'

const registries: readonly ServerName[] = ['berth', 'docker-registry']
const readyEveryMs = 3

/** `folder` is for stores that are made here; a full one of Berth has so many records. */
export function createStarts(folder: string, records: number): Operation[] {
  let full: Promise<string> | undefined
  const writeFull = async (): Promise<string> => {
    const root = join(folder, 'full-store')
    await mkdir(root)
    writeFullStore(root, { records, garbage: 0 })
    return root
  }
  const folderOf = async ({ name, folder: own }: Server): Promise<string> => {
    // docker-registry starts once more on what it has: it does not look at it.
    if (name !== 'berth') return own
    full ??= writeFull()
    return full
  }
  const group = 'Starts'
  return [
    {
      id: 'start-empty',
      group,
      name: 'start on an empty store',
      unit: 'ms',
      servers: registries,
      measure: async (server) => measureStart(server, await mkdtemp(join(folder, 'empty-'))),
    },
    {
      id: 'start-full',
      group,
      name: `start on a store of ${records.toLocaleString('en')} records`,
      unit: 'ms',
      servers: registries,
      measure: async (server) => measureStart(server, await folderOf(server)),
    },
  ]
}

async function measureStart({ name }: Server, folder: string): Promise<Work> {
  const began = performance.now()
  const started =
    name === 'berth'
      ? await startBerth({ folder, env: berthSettings, readyEveryMs })
      : await startDistribution(folder, readyEveryMs)
  const seconds = (performance.now() - began) / 1000
  const readCpu = await createCpuReader(started.pid)
  const cpuSeconds = await readCpu()
  const peakBytes = (await readMemory(started.pid)).reduce((sum, one) => sum + one, 0)
  await started.stop()
  return { amount: 1, seconds, used: { cpuSeconds, peakBytes } }
}
