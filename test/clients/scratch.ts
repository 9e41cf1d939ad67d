/** A temporary folder that is gone when the test file has ended. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/** Removed at the very end and not in a hook: hooks run in the order they are written, and daemons must stop first. */
export function createScratch(): string {
  const folder = mkdtempSync(join(tmpdir(), 'berth-client-'))
  process.once('exit', () => rmSync(folder, { recursive: true, force: true }))
  return folder
}
