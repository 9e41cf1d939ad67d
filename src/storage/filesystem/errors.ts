/** From Node's system errors to what the storage interface promises. */
import { StorageError } from '../driver.ts'

/** The code of a system error (`ENOENT` …), else `undefined`. */
export function codeOf(error: unknown): string | undefined {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : undefined
}

/** Whether the error says that a path does not exist, in whichever way. */
export function isMissing(error: unknown): boolean {
  const code = codeOf(error)
  return code === 'ENOENT' || code === 'ENOTDIR'
}

/** Whether a directory is not empty (POSIX allows two codes). */
export function isNotEmpty(error: unknown): boolean {
  const code = codeOf(error)
  return code === 'ENOTEMPTY' || code === 'EEXIST'
}

/** Whether there is no room: of the disk or of a quota. */
export function isFull(error: unknown): boolean {
  const code = codeOf(error)
  return code === 'ENOSPC' || code === 'EDQUOT'
}

/** What only a wrong caller can cause; everything else that the system reports is the store's own failure. */
const bugCodes = new Set(['EBADF', 'EEXIST', 'EFAULT', 'EINVAL', 'EISDIR', 'ENAMETOOLONG', 'ENOTDIR', 'ENOTEMPTY'])

/** Runs `action`, turning a system error into a StorageError; `doing` completes the sentence "… failed". */
export async function translateErrors<T>(doing: string, action: () => Promise<T>): Promise<T> {
  try {
    return await action()
  } catch (error) {
    throw translateError(doing, error)
  }
}

export function translateError(doing: string, error: unknown): unknown {
  const code = codeOf(error)
  if (code === undefined || !(error instanceof Error && 'syscall' in error) || bugCodes.has(code)) return error
  if (isFull(error))
    return new StorageError('full', `${doing} failed: the folder has no room (${code})`, { cause: error })
  if (code === 'EROFS') {
    return new StorageError('read-only', `${doing} failed: the folder is read-only (${code})`, { cause: error })
  }
  return new StorageError('unavailable', `${doing} failed: ${code}`, { cause: error })
}
