import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { recordScrub, type ScrubLoop, scrubRepeatedly, type ScrubRun } from '../../src/cli/scrub-loop.ts'
import { createScrub } from '../../src/registry/scrub/scrub.ts'
import { createLogger } from '../../src/telemetry/logger.ts'
import { createMetrics } from '../../src/telemetry/metrics.ts'
import { createWorld, hour, pushBlob, repo, sha256, type World } from '../registry/harness.ts'
import { damage, dependenciesOf, flip, linkOf } from '../registry/scrub-harness.ts'

const day = 24 * hour

/** Runs loops side by side until so much time has passed; tells when each run ended, in hours from the start. */
async function runFor(world: World, ms: number, loops = 1, overrides: Partial<ScrubLoop> = {}) {
  const start = world.clock.now
  const stop = new AbortController()
  const runs: { run: ScrubRun; hours: number }[] = []
  const loop: ScrubLoop = {
    ...dependenciesOf(world),
    scrub: createScrub(dependenciesOf(world)),
    intervalMs: 30 * day,
    bytesPerSecond: 1000,
    sleep: async (waitMs, signal) => {
      world.clock.now += waitMs / loops
      if (world.clock.now - start > ms) stop.abort()
      signal?.throwIfAborted()
    },
    onRun: (run) => runs.push({ run, hours: Math.round((world.clock.now - start) / hour) }),
    ...overrides,
  }
  await Promise.all(Array.from({ length: loops }, () => scrubRepeatedly(loop, stop.signal)))
  return runs
}

describe('scheduled scrubs', () => {
  it('begin at once, and then after the interval, however often the process is started', async () => {
    const world = createWorld()
    await pushBlob(world.registry, repo, 'abc')
    assert.deepEqual(
      (await runFor(world, 20 * day)).map(({ hours }) => hours),
      [0],
    )
    assert.deepEqual(
      (await runFor(world, 5 * day)).map(({ hours }) => hours),
      [],
    )
    assert.deepEqual(
      (await runFor(world, 20 * day)).map(({ hours }) => hours),
      [5 * 24],
    )
  })

  it('are one of several processes', async () => {
    const world = createWorld()
    assert.equal((await runFor(world, day, 3)).length, 1)
  })

  it('go on where one was interrupted, once it has been silent for an hour', async () => {
    const world = createWorld()
    for (let i = 0; i < 300; i++) await pushBlob(world.registry, repo, `blob ${i}`.repeat(1000))
    const [failed] = await runFor(world, day, 1, {
      onRun: () => undefined,
      scrub: {
        run: (mode, options) =>
          createScrub(dependenciesOf(world)).run(mode, {
            ...options,
            report: (what, fraction, position) => {
              options?.report?.(what, fraction, position)
              if (position.startsWith('blobs/sha256/a')) throw new Error('killed')
            },
          }),
      },
    })
    assert.equal(failed, undefined)
    world.calls.length = 0
    const [first] = await runFor(world, day)
    assert.equal(first?.run.outcome, 'done')
    const opened = world.calls.filter(({ method }) => method === 'open').length
    assert.ok(opened > 50 && opened < 200, `${opened} of 300 were read`)
  })

  it('say what they found in one line and in the metrics', async () => {
    const world = createWorld()
    await pushBlob(world.registry, repo, 'abc')
    const { segments } = await linkOf(world, repo, sha256('abc'))
    await damage(world, segments[0]?.key ?? '', flip)
    const [found] = await runFor(world, hour)
    assert.ok(found !== undefined)
    const lines: string[] = []
    const log = createLogger({
      level: 'info',
      format: 'json',
      write: (text) => lines.push(text),
      now: () => new Date(),
    })
    const metrics = createMetrics('1')
    recordScrub(found.run, log, metrics)
    assert.equal(lines.length, 1)
    assert.match(lines[0] ?? '', /"level":"error".*"found":\{"damaged":1\}.*"key":"data\//)
    const { text } = await metrics.render()
    for (const line of [
      'berth_scrub_runs_total{outcome="done"} 1',
      'berth_scrub_findings{kind="damaged"} 1',
      'berth_scrub_read_bytes_total 6',
    ]) {
      assert.ok(text.includes(line), line)
    }
  })
})
