/**
 * Every operation of the registry with its driver calls going wrong, one after the other, on each driver. `FAULTS=all` takes every call everywhere, as CI
 * does (in a bucket, where each takes long, every few); without it, where one takes long, every so many calls.
 */
import assert from 'node:assert/strict'
import { after, before, describe as suite, it } from 'node:test'
import { OciError } from '../../src/oci/errors.ts'
import { StorageError } from '../../src/storage/driver.ts'
import { sha256 } from '../registry/harness.ts'
import { reasonToSkip } from '../s3/servers.ts'
import { createFaultyDriver, type Fault, faultKinds } from './faulty-driver.ts'
import { type Operation, operations, prepare, texts } from './operations.ts'
import { createWorlds, describe, describeKeys, kinds, type World } from './world.ts'

const steps = {
  memory: { sweep: 13, other: 1 },
  filesystem: { sweep: 61, other: 11 },
  s3: { sweep: 211, other: 31 },
} as const

/** From one call that goes wrong to the next. */
function stepOf(kind: (typeof kinds)[number], name: string): number {
  const isSweep = name.startsWith('sweep')
  if (process.env['FAULTS'] === 'all') return kind === 's3' ? (isSweep ? 61 : 7) : 1
  return steps[kind][isSweep ? 'sweep' : 'other']
}

/** The worst of them, where each takes long: whoever lost an answer does not know what he has done. */
function howOf(kind: (typeof kinds)[number]): readonly Fault['how'][] {
  return kind === 's3' && process.env['FAULTS'] !== 'all' ? ['loses the answer'] : faultKinds
}

/** Absent after a deletion whose answer was lost: as the client wanted it. */
function isGone(error: unknown): boolean {
  return error instanceof OciError && error.status === 404
}

for (const kind of kinds) {
  const skip = kind === 's3' && reasonToSkip('versitygw')
  suite(`a fault in any driver call, on ${kind}`, { skip }, () => {
    let worlds: Awaited<ReturnType<typeof createWorlds>>
    before(async () => {
      worlds = await createWorlds(kind)
    })
    after(() => worlds.remove())

    async function createPrepared({ before: more }: Operation): Promise<World> {
      const world = await worlds.create()
      await prepare(world)
      await more?.(world)
      return world
    }

    for (const [name, operation] of Object.entries(operations)) {
      it(`is survived when it comes while we ${name}`, async (t) => {
        const look = (world: World) => describe(world, texts, new Set(operation.takes ? [sha256(operation.takes)] : []))
        const sound = await createPrepared(operation)
        const old = await look(sound)
        await operation.run(sound.start())
        const done = await look(sound)
        const keys = await describeKeys(sound)
        const kept = [...old].filter((line) => done.has(line))

        async function strike(fault: Fault): Promise<string | undefined> {
          const world = await createPrepared(operation)
          const { driver, death, struck } = createFaultyDriver(world.driver, fault)
          const outcome = await Promise.race([
            operation.run(world.start(driver)).then(
              () => 'done' as const,
              (error: unknown) => ({ error }),
            ),
            death,
          ])
          const where = struck()
          if (where === undefined) return undefined
          const said = `${fault.how} at call ${fault.at}, ${where}`
          if (typeof outcome === 'object') {
            const { error } = outcome
            assert.ok(error instanceof StorageError || error instanceof OciError, `${said}: ${String(error)}`)
          }
          const seen = await look(world)
          assert.deepEqual(
            kept.filter((line) => !seen.has(line)),
            [],
            `${said}: lost`,
          )
          assert.deepEqual(
            [...seen].filter((line) => !old.has(line) && !done.has(line)),
            [],
            `${said}: made up`,
          )
          if (outcome === 'done')
            assert.deepEqual([...seen].sort(), [...done].sort(), `${said}: answered, and not done`)
          await operation.run(world.start()).catch((error: unknown) => {
            if (!isGone(error)) throw new Error(`${said}: the retry fails`, { cause: error })
          })
          assert.deepEqual([...(await look(world))].sort(), [...done].sort(), `${said}: after the retry`)
          assert.deepEqual(await describeKeys(world), keys, `${said}: left over`)
          return where
        }

        const step = stepOf(kind, name)
        let faults = 0
        for (const how of howOf(kind)) {
          for (let at = 0; (await strike({ at, how })) !== undefined; at += step) faults++
        }
        t.diagnostic(`${faults} faults`)
      })
    }
  })
}
