import { randomUUID } from 'node:crypto'
import { createMemoryDriver } from '../../src/storage/memory.ts'
import { testKeySpace } from '../storage/folder.ts'
import { describeDriver } from './driver-contract.ts'

describeDriver('memory', async () => {
  let time = 1_700_000_000_000
  const driver = createMemoryDriver({
    keySpace: testKeySpace,
    now: () => time++,
    createId: randomUUID,
    maxValueBytes: 4 * 1024 * 1024,
  })
  return { driver, rawTree: async () => [], clockStepMs: 10, remove: () => driver.close() }
})
