/** Whether the file system under a folder makes changes of names durable in their order, as journals do. */
import { readdir, readFile, readlink } from 'node:fs/promises'
import { basename } from 'node:path'
import type { Calls } from './calls.ts'

/**
 * XFS and ext4 with a journal promise it: whoever syncs a file or a directory also makes durable what its last change of names built on, so the
 * directories above it that were made before, by whichever process. Others may do so, too; POSIX does not ask for it. By the table of mounts of Linux,
 * proc_pid_mountinfo(5); false where there is none, the folder is not on one device, or no journal of it can be seen.
 */
export async function keepsNameOrder(calls: Calls, root: string): Promise<boolean> {
  const table = await readFile('/proc/self/mountinfo', 'utf8').catch(() => '')
  const { dev } = await calls.stat(root)
  const type = findType(table, dev)
  if (type !== 'ext4') return type === 'xfs'
  const device = await readlink(`/sys/dev/block/${formatDevice(dev)}`).catch(() => '')
  return isJournaled(device, await readdir('/proc/fs/jbd2').catch(() => []))
}

/** Whether a device is among those whose journals are open (`<name>-<inode>`); ext4 may be made without, as images of virtual machines are. */
export function isJournaled(device: string, journals: readonly string[]): boolean {
  const name = basename(device)
  return name !== '' && journals.some((journal) => journal.startsWith(`${name}-`))
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
