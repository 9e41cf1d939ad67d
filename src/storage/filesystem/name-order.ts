/** Whether the file system under a folder makes changes of names durable in their order, as journals do. */
import { readFile } from 'node:fs/promises'
import type { Calls } from './calls.ts'

/**
 * These promise it: whoever syncs a file or a directory also makes durable what its last change of names built on, so the directories above it
 * that were made before, by whichever process. Others may do so, too; POSIX does not ask for it.
 */
const inOrder: ReadonlySet<string> = new Set(['ext4', 'xfs'])

/** By the table of mounts of Linux, proc_pid_mountinfo(5); false where there is none, or the folder is not on one device. */
export async function keepsNameOrder(calls: Calls, root: string): Promise<boolean> {
  const table = await readFile('/proc/self/mountinfo', 'utf8').catch(() => '')
  const type = findType(table, (await calls.stat(root)).dev)
  return type !== undefined && inOrder.has(type)
}

/** The type of the file system on a device; `undefined` when the table does not tell. */
export function findType(table: string, device: number): string | undefined {
  const wanted = formatDevice(device)
  for (const line of table.split('\n')) {
    const [mount = '', system = ''] = line.split(' - ')
    if (mount.split(' ')[2] === wanted) return system.split(' ')[0]
  }
  return undefined
}

/** As glibc's `makedev` joins them: 12 bits of the minor number lie above the 12 of the major one. */
function formatDevice(device: number): string {
  const number = BigInt(device)
  const major = (number >> 8n) & 0xfffn
  const minor = (number & 0xffn) | ((number >> 12n) & 0xfff00n)
  return `${major}:${minor}`
}
