/** System calls that are counted, written down and made to fail. */
import { relative } from 'node:path'
import { type Calls, createLocalCalls } from '../../src/storage/filesystem/calls.ts'

/** Which call goes wrong (from 0), and how: fails with a code, or is never made because the process was killed before it. */
export type Fault = { readonly at: number; readonly how: 'ENOSPC' | 'EIO' | 'kill' }

/** The calls that change something: a kill before any other is a kill before the next of these. */
const changing: ReadonlySet<string> = new Set(['create', 'link', 'mkdir', 'rename', 'rmdir', 'unlink', 'write'])

/** The calls that need room. */
const needRoom: ReadonlySet<string> = new Set(['close', 'create', 'link', 'mkdir', 'rename', 'syncData', 'write'])

/** Local calls without syncs: a sync takes most of the time, and matters to power loss only. */
export function createQuickCalls(): Calls {
  return { ...createLocalCalls(), sync: async () => undefined, syncData: async () => undefined }
}

export interface FaultyCalls {
  readonly calls: Calls
  /** Starts counting. */
  readonly arm: () => void
  /** Whether the fault has come. */
  readonly struck: () => boolean
}

/** Quick calls with one fault. */
export function createFaultyCalls({ at, how }: Fault): FaultyCalls {
  let count = -Infinity
  const calls = wrapCalls(createQuickCalls(), async (name, _, run) => {
    if ((how === 'ENOSPC' && !needRoom.has(name)) || (how === 'kill' && !changing.has(name))) return run()
    const index = count++
    if (index !== at && !(how === 'kill' && index > at)) return run()
    // What a failed close leaves is closed all the same, as the kernel does.
    if (name === 'close') await run()
    throw Object.assign(new Error(`${how} in ${name}`), how === 'kill' ? {} : { code: how, syscall: name })
  })
  return {
    calls,
    arm: () => {
      count = 0
    },
    struck: () => count > at,
  }
}

/** Calls that are written down when they are done: `rename data/a data/b`, relative to a folder. Only what changes, and syncs. */
export function createTracedCalls(root: string): { readonly calls: Calls; readonly trace: string[] } {
  const trace: string[] = []
  const open = new Map<unknown, string>()
  const short = (path: unknown) => (typeof path === 'string' ? relative(root, path) || '.' : (open.get(path) ?? '?'))
  const calls = wrapCalls(createLocalCalls(), async (name, [first, second], run) => {
    const result = await run()
    if (name === 'create' || name === 'openRead') open.set(result, short(first))
    if (
      [
        'stat',
        'isThere',
        'statFile',
        'readValue',
        'readNames',
        'readEntries',
        'read',
        'openRead',
        'freeBytes',
      ].includes(name)
    ) {
      return result
    }
    if (name !== 'close')
      trace.push([name, short(first), ...(typeof second === 'string' ? [short(second)] : [])].join(' '))
    return result
  })
  return { calls, trace }
}

type Around = <T>(name: keyof Calls, args: readonly unknown[], run: () => Promise<T>) => Promise<T>

/** Calls with something around each. */
export function wrapCalls(calls: Calls, around: Around): Calls {
  return {
    openRead: (...args) => around('openRead', args, () => calls.openRead(...args)),
    close: (...args) => around('close', args, () => calls.close(...args)),
    stat: (...args) => around('stat', args, () => calls.stat(...args)),
    isThere: (...args) => around('isThere', args, () => calls.isThere(...args)),
    statFile: (...args) => around('statFile', args, () => calls.statFile(...args)),
    readValue: (...args) => around('readValue', args, () => calls.readValue(...args)),
    readNames: (...args) => around('readNames', args, () => calls.readNames(...args)),
    readEntries: (...args) => around('readEntries', args, () => calls.readEntries(...args)),
    read: (...args) => around('read', args, () => calls.read(...args)),
    create: (...args) => around('create', args, () => calls.create(...args)),
    write: (...args) => around('write', args, () => calls.write(...args)),
    syncData: (...args) => around('syncData', args, () => calls.syncData(...args)),
    sync: (...args) => around('sync', args, () => calls.sync(...args)),
    rename: (...args) => around('rename', args, () => calls.rename(...args)),
    link: (...args) => around('link', args, () => calls.link(...args)),
    unlink: (...args) => around('unlink', args, () => calls.unlink(...args)),
    mkdir: (...args) => around('mkdir', args, () => calls.mkdir(...args)),
    rmdir: (...args) => around('rmdir', args, () => calls.rmdir(...args)),
    freeBytes: (...args) => around('freeBytes', args, () => calls.freeBytes(...args)),
  }
}
