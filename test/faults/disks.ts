/** Small disks that can be filled, made read-only and copied; only root can mount them. */
import { mkdir, rm, statfs } from 'node:fs/promises'
import { attempt, run } from '../clients/process.ts'

export interface Disk {
  /** Where it is mounted. */
  readonly folder: string
  remount(mode: 'ro' | 'rw'): Promise<void>
  freeBlocks(): Promise<number>
  unmount(): Promise<void>
}

/** Why no disk can be mounted here, or `false`. */
export function reasonToSkipDisks(): string | false {
  if (process.platform !== 'linux') return 'small disks are mounted on Linux only'
  return process.getuid?.() === 0 ? false : 'mounting a small disk needs root'
}

async function mounted(folder: string, mount: readonly string[]): Promise<Disk> {
  await mkdir(folder, { recursive: true })
  await run('mount', [...mount, folder])
  return {
    folder,
    remount: async (mode) => void (await run('mount', ['-o', `remount,${mode}`, folder])),
    freeBlocks: async () => (await statfs(folder)).bavail,
    async unmount() {
      await run('umount', [folder])
      await rm(folder, { recursive: true, force: true })
    },
  }
}

export function mountMemory(folder: string, mebibytes: number): Promise<Disk> {
  return mounted(folder, ['-t', 'tmpfs', '-o', `size=${mebibytes}m`, 'tmpfs'])
}

/** An ext4 in a file beside the folder: `<folder>.img`. Direct, so that only what was written out is in the file. */
export async function mountFile(folder: string, mebibytes: number): Promise<Disk> {
  const file = `${folder}.img`
  await run('truncate', ['--size', `${mebibytes}M`, file])
  await run('mkfs.ext4', ['-q', '-m', '0', '-N', '30000', file])
  const device = await run('losetup', ['--find', '--show', '--direct-io=on', file])
  const disk = await mounted(folder, [device])
  // From now on the device goes when it is unmounted, however that comes.
  await run('losetup', ['--detach', device])
  return {
    ...disk,
    async unmount() {
      await disk.unmount()
      await rm(file, { force: true })
    },
  }
}

/**
 * The file as it was at one moment: copied until nothing has changed meanwhile. Mounted, it is what a machine finds whose power went off at that moment.
 */
export async function copyAtOneMoment(file: string, copy: string): Promise<void> {
  for (;;) {
    await run('cp', ['--sparse=always', file, copy])
    if ((await attempt('cmp', ['--quiet', file, copy])).code === 0) return
  }
}

export async function mountCopy(file: string, folder: string): Promise<Disk> {
  const disk = await mounted(folder, ['-o', 'loop', file])
  return {
    ...disk,
    async unmount() {
      await disk.unmount()
      await rm(file, { force: true })
    },
  }
}
