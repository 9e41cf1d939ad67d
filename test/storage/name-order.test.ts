/** What the table of mounts says of a device. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { findType, isJournaled } from '../../src/storage/filesystem/name-order.ts'

const table = `22 28 0:20 / /sys rw,nosuid - sysfs sysfs rw
28 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw
30 28 259:70000 /a\\040b /mnt rw - xfs /dev/nvme0n1 rw
31 28 0:44 / /merged rw - overlay overlay rw,lowerdir=/l
`

describe('the file system of a device', () => {
  it('is found by the numbers of the device', () => {
    assert.equal(findType(table, 254 * 256), 'ext4')
    assert.equal(findType(table, 44), 'overlay')
  })

  it('is found by a minor number of more than eight bits', () => {
    assert.equal(findType(table, 259 * 256 + (70000 % 256) + (70000 - (70000 % 256)) * 4096), 'xfs')
  })

  it('is unknown without a line, or without a table', () => {
    assert.equal(findType(table, 254 * 256 + 1), undefined)
    assert.equal(findType('', 254 * 256), undefined)
  })
})

describe('the journal of a device', () => {
  it('is seen under the name of the device, and no other', () => {
    const journals = ['vda1-8', 'dm-0-8']
    assert.equal(isJournaled('../../devices/virtual/block/dm-0', journals), true)
    assert.equal(isJournaled('../../devices/pci0000:00/virtio1/block/vda/vda1', journals), true)
    assert.equal(isJournaled('../../devices/pci0000:00/virtio1/block/vda', journals), false)
  })

  it('is not seen where the system does not tell', () => {
    assert.equal(isJournaled('', ['-8', 'vda-8']), false)
    assert.equal(isJournaled('../../block/vda', []), false)
  })
})
