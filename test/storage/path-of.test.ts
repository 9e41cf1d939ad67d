import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { createFolder, openFolder } from './folder.ts'

test('a folder says where the file of a plain key is, and of no other', async () => {
  const folder = await createFolder()
  try {
    const driver = await openFolder(folder.root)
    await driver.write('data/a/b', Buffer.from('bytes'))
    assert.equal((await readFile(join(folder.root, driver.pathOf?.('data/a/b') ?? ''))).toString(), 'bytes')
    for (const key of ['data/../berth', '/etc/passwd', 'other/a', 'berth', 'tags/library+/latest']) {
      assert.throws(() => driver.pathOf?.(key), { name: 'Error' }, key)
    }
    await driver.close()
  } finally {
    await folder.remove()
  }
})
