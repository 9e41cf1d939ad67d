/**
 * The ballast: a file that keeps room back, so that deleting works on a full disk. A remove, and a write that asks for the reserve, may
 * free it; every other write waits until there is room to make it again.
 */
import { randomFillSync } from 'node:crypto'
import { StorageError } from '../driver.ts'
import type { Disk } from './disk.ts'
import { codeOf, isFull, isMissing } from './errors.ts'
import { dropTemporary, fillTemporary, writeAll } from './temporary.ts'

export interface Ballast {
  /**
   * Runs what leads to free space; when there is no room, frees the ballast and runs it again. `action` must leave nothing behind when it
   * fails.
   */
  lend<T>(action: () => Promise<T>): Promise<T>
  /** Rejects as `full` while the ballast is missing and cannot be made again. */
  require(): Promise<void>
}

const pieceBytes = 1024 * 1024

export function createBallast(disk: Disk): Ballast {
  const { calls, paths, ballastBytes } = disk
  let making: Promise<void> | undefined

  return {
    async lend(action) {
      try {
        return await action()
      } catch (error) {
        if (ballastBytes === 0 || !isFull(error)) throw error
      }
      try {
        await calls.unlink(paths.ballast)
      } catch (error) {
        // Missing: another process has just freed it for both of us.
        if (codeOf(error) !== 'ENOENT') throw error
      }
      return action()
    },
    async require() {
      if (ballastBytes === 0 || (await isWhole(disk))) return
      making ??= make(disk).finally(() => {
        making = undefined
      })
      await making
    },
  }
}

async function isWhole({ calls, paths, ballastBytes }: Disk): Promise<boolean> {
  try {
    return (await calls.stat(paths.ballast)).size === ballastBytes
  } catch (error) {
    if (isMissing(error)) return false
    throw error
  }
}

async function make(disk: Disk): Promise<void> {
  const { calls, paths, ballastBytes } = disk
  // Twice: making it must not be what fills the disk.
  if ((await calls.freeBytes(paths.root)) < 2 * ballastBytes) {
    const mebibytes = Math.ceil((2 * ballastBytes) / 1024 / 1024)
    throw new StorageError(
      'full',
      `the disk of ${paths.root} has less than ${mebibytes} MiB free, twice the ballast that is kept so that deleting works: free some, or make the ballast smaller (storage.filesystem.ballastBytes)`,
    )
  }
  const path = await fillTemporary(disk, 'power loss', async (file) => {
    const piece = Buffer.allocUnsafeSlow(Math.min(pieceBytes, ballastBytes))
    for (let at = 0; at < ballastBytes; at += piece.length) {
      // Random: a file system that compresses would keep nothing back for zeros.
      await writeAll(calls, file, [randomFillSync(piece).subarray(0, ballastBytes - at)], at)
    }
  })
  try {
    await calls.rename(path, paths.ballast)
  } catch (error) {
    await dropTemporary(disk, path)
    throw error
  }
}
