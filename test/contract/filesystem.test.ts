import { createFolder, openFolder, rawTree } from '../storage/folder.ts'
import { describeDriver } from './driver-contract.ts'

const folders = {
  'folder on a local mount': { mount: 'local' },
  'folder on a local mount, in the background': { mount: 'local', isBackground: true },
  'folder on a network mount': { mount: 'network' },
} as const

for (const [name, options] of Object.entries(folders)) {
  describeDriver(name, async () => {
    const folder = await createFolder()
    const driver = await openFolder(folder.root, { ...options, maxValueBytes: 4 * 1024 * 1024 })
    return {
      driver,
      rawTree: () => rawTree(folder.root),
      clockStepMs: 10,
      async remove() {
        await driver.close()
        await folder.remove()
      },
    }
  })
}
