import { createFolder, openFolder, rawTree } from '../storage/folder.ts'
import { describeDriver } from './driver-contract.ts'

for (const mount of ['local', 'network'] as const) {
  describeDriver(`folder on a ${mount} mount`, async () => {
    const folder = await createFolder()
    const driver = await openFolder(folder.root, { mount, maxValueBytes: 4 * 1024 * 1024 })
    return {
      driver,
      rawTree: () => rawTree(folder.root),
      async remove() {
        await driver.close()
        await folder.remove()
      },
    }
  })
}
