/** A temporary folder that is gone after the suite that asked for it. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after } from 'node:test'

/** To be called in the body of a `describe`, not in a hook: the folder goes when the suite ends. */
export function createScratch(): string {
  const folder = mkdtempSync(join(tmpdir(), 'berth-client-'))
  after(() => rmSync(folder, { recursive: true, force: true }))
  return folder
}
