import assert from 'node:assert/strict'
import { it } from 'node:test'
import { createGroupSize } from '../../src/registry/sweep/group-size.ts'

it('a group grows while its marks stand for a moment only, and shrinks at once when they stand long', () => {
  const group = createGroupSize(300)
  const after = (ms: number): number => {
    group.stood(ms)
    return group.now()
  }
  assert.equal(group.now(), 50)
  assert.deepEqual([0, 100, 100].map(after), [100, 200, 300])
  assert.equal(after(500), 300)
  assert.equal(after(5000), 30)
  assert.equal(after(60_000), 1)
  assert.equal(after(100), 2)
  assert.equal(createGroupSize(3).now(), 3)
})
