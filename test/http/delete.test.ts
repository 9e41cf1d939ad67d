/** What a client is told whose DELETE of a manifest is refused. */
import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { test } from 'node:test'
import * as v from 'valibot'
import { ociIndex, ociManifest } from '../../src/oci/media-types.ts'
import { createSweep } from '../../src/registry/sweep/sweep.ts'
import { limits } from '../registry/harness.ts'
import { type Answer, codesOf, type Configuration, memory, pushManifest, startRegistry } from './harness.ts'

const bodySchema = v.object({ errors: v.array(v.object({ message: v.string(), detail: v.unknown() })) })

/** The message and the detail of a refusal that an index is the reason for. */
function refusalOf(answer: Answer): { readonly message: string; readonly detail: unknown } {
  assert.equal(answer.status, 405)
  assert.equal(answer.headers.allow, 'GET, HEAD, PUT')
  assert.deepEqual(codesOf(answer), ['UNSUPPORTED'])
  return v.parse(bodySchema, answer.json).errors[0] ?? assert.fail()
}

test('DELETE of an entry of an index: whether the index is there, or in a push that may have been broken off', async () => {
  const begun = Promise.withResolvers<void>()
  let isBrokenOff = true
  const configuration: Configuration = {
    name: 'memory whose first push of an index never ends',
    async open() {
      const store = await memory.open()
      const { driver } = store
      const promote: typeof driver.promote = async (entry, record, options) => {
        const bytes = (await driver.read(entry))?.bytes.toString() ?? ''
        if (!isBrokenOff || !record.startsWith('manifests/') || !bytes.includes(ociIndex))
          return driver.promote(entry, record, options)
        begun.resolve()
        return new Promise(() => undefined)
      }
      return { driver: { ...driver, promote }, close: () => store.close() }
    },
  }
  const registry = await startRegistry(configuration, { registry: { pushIdleMs: 5_400_000 } })
  try {
    const image = await pushManifest(registry, 'delete', 'v1')
    const entry = { mediaType: ociManifest, digest: image.digest, size: image.bytes.length }
    const body = JSON.stringify({ schemaVersion: 2, mediaType: ociIndex, manifests: [entry] })
    const pushIndex = (): Promise<Answer> =>
      registry.send('PUT', '/v2/delete/manifests/multi', { headers: { 'Content-Type': ociIndex }, body })
    const remove = (digest: string): Promise<Answer> => registry.send('DELETE', `/v2/delete/manifests/${digest}`)
    pushIndex().catch(() => undefined)
    await begun.promise
    const pushing = refusalOf(await remove(image.digest))
    assert.match(
      pushing.message,
      /is being pushed; try again when .* the sweep forgets one that was broken off after 90m$/,
    )

    isBrokenOff = false
    const { headers } = await pushIndex()
    const index = String(headers['docker-content-digest'])
    const there = refusalOf(await remove(image.digest))
    assert.equal(there.message, `the index ${index} names this manifest; delete the index first`)
    for (const { detail } of [pushing, there]) assert.deepEqual(detail, { index })
    assert.equal((await remove(index)).status, 202)
    assert.match(refusalOf(await remove(image.digest)).message, /is being pushed/)

    await createSweep({
      driver: registry.driver,
      limits: { ...limits, pushIdleMs: 0 },
      sweepLimits: { garbageAgeMs: 0, uploadIdleMs: 1000, copyWindowMs: 0, batchSize: 10 },
      createId: randomUUID,
      now: Date.now,
      sleep: async () => undefined,
      monotonicMs: () => performance.now(),
    }).run('sweep')
    assert.equal((await remove(image.digest)).status, 202)
  } finally {
    await registry.close()
  }
})
