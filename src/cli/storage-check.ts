/** `berth storage check`: tries everything that Berth needs of the configured store and prints a table of what holds. */
import { randomUUID } from 'node:crypto'
import { keySpace, scratchPrefix } from '../registry/layout.ts'
import type { Driver } from '../storage/driver.ts'
import { openDriver, openProbe, type StoreContext, type StoreOptions } from '../storage/open.ts'
import { namesOf, runProbe } from '../storage/probe/run.ts'
import type { Answer, StoreProbe } from '../storage/probe/step.ts'
import { loadLastingConfig } from './by-hand.ts'
import { CommandError, type Given, type Surroundings } from './command.ts'
import { describePlace, readStoreOptions } from './store-options.ts'

const outcomeWidth = 'not tried'.length

/** One row: the name, whether it holds, and what there is to say. */
function renderRow(name: string, width: number, { outcome, said }: Answer): string {
  return `  ${name.padEnd(width)}  ${outcome.padEnd(outcomeWidth)}  ${said}`.trimEnd() + '\n'
}

function createTable({ out }: Surroundings, names: readonly string[]) {
  const width = Math.max(...names.map((name) => name.length))
  const counts = { ok: 0, warning: 0, failed: 0, 'not tried': 0 }
  return {
    counts,
    add: (name: string, answer: Answer): void => {
      counts[answer.outcome]++
      out(renderRow(name, width, answer))
    },
  }
}

/** Opens the driver as servers do, but puts no marker into an empty store. Throws CommandError when it cannot be used. */
async function openChecked(options: StoreOptions, context: StoreContext): Promise<Driver> {
  try {
    return await openDriver(options, context)
  } catch (error) {
    // It promises one sentence for the operator.
    const message = error instanceof Error ? error.message : String(error)
    throw new CommandError('cannotStart', message, { cause: error })
  }
}

async function runChecks(driver: Driver, probe: StoreProbe, surroundings: Surroundings): Promise<void> {
  const table = createTable(surroundings, namesOf(probe))
  const stop = new AbortController()
  const forget = surroundings.onStop(() => stop.abort())
  const { signal } = stop
  const clocks = { now: Date.now, elapsedMs: () => performance.now() }
  try {
    await runProbe(probe, { driver, keySpace, scratchPrefix, createId: randomUUID, ...clocks, signal }, table.add)
  } finally {
    forget()
  }
  const { failed } = table.counts
  if (failed > 0) throw new CommandError('found', `${failed} of these failed: do not keep a registry there`)
  if (signal.aborted) throw new CommandError('failed', 'stopped; what was written is removed')
}

export async function checkStorage(given: Given, surroundings: Surroundings): Promise<void> {
  const { storage } = loadLastingConfig(given, surroundings)
  const options = await readStoreOptions(storage, false)
  surroundings.out(`${describePlace(options)}\n`)
  const context = { keySpace, now: Date.now, createId: randomUUID }
  const driver = await openChecked(options, context)
  try {
    const probe = await openProbe(options, context)
    try {
      await runChecks(driver, probe, surroundings)
    } finally {
      await probe.close()
    }
  } finally {
    await driver.close()
  }
}
