/** Where the tests of a client begin: a Berth, a folder, and what to push. */
import { join } from 'node:path'
import { startBerth, type Registry } from './berth.ts'
import { createImage, createMultiArchImage, type Layout } from './layout.ts'
import { createScratch } from './scratch.ts'

export interface Stage {
  readonly scratch: string
  readonly berth: Registry
  /** Its largest layer has 8 MiB. */
  readonly image: Layout
  readonly multiArch: Layout
}

export async function createStage(): Promise<Stage> {
  const scratch = createScratch()
  return {
    scratch,
    berth: await startBerth(),
    image: await createImage(join(scratch, 'image'), [8 * 1024 * 1024, 100_000, 10]),
    multiArch: await createMultiArchImage(join(scratch, 'multi'), [200_000, 5_000]),
  }
}
