/** Bodies on their way into a bucket: equal parts, what fails and what is given up, and what that leaves. */
import assert from 'node:assert/strict'
import { createHash, randomUUID } from 'node:crypto'
import { after, before, beforeEach, describe, it } from 'node:test'
import fc from 'fast-check'
import type { Driver } from '../../src/storage/driver.ts'
import { describeCall, type S3Call } from './calls.ts'
import { listMultiparts } from './open.ts'
import { failNext, type Fault, type Script } from './proxy.ts'
import { eventually, isUnavailable, readAll, type Scene, setScene, variedBytes } from './scene.ts'
import { reasonToSkip, type S3Server, startVersitygw } from './servers.ts'

const partBytes = 5 * 1024 * 1024
const bytes = variedBytes(3 * partBytes + 1)
const internal: Fault = { kind: 'status', status: 500, code: 'InternalError' }
const faultless: Script = () => undefined

describe('bodies under faults', { skip: reasonToSkip('versitygw') }, () => {
  let server: S3Server
  let scene: Scene
  let driver: Driver
  let direct: Driver
  let key: string
  before(async () => {
    server = await startVersitygw()
    scene = await setScene(server, { elapsed: () => 0 })
    ;({ driver, direct } = scene)
  })
  after(async () => {
    await scene.close()
    await server.remove()
  })
  beforeEach(() => {
    key = `data/${randomUUID()}/a`
    scene.play(faultless)
  })

  async function send(body: Buffer, chunkBytes: number, on = driver): Promise<void> {
    const writer = await on.writeStream(key)
    try {
      for (let at = 0; at < body.length; at += chunkBytes) await writer.write(body.subarray(at, at + chunkBytes))
    } catch (error) {
      await writer.discard()
      throw error
    }
    await writer.seal()
  }

  const count = (call: S3Call): number => scene.calls().filter((one) => one === call).length
  /** The numbers of the parts that were sent, and their sizes. */
  const parts = () =>
    scene.proxy.requests
      .filter((request) => describeCall(request) === 'UploadPart')
      .map(({ url, headers }) => ({
        number: Number(new URL(url, 'http://server').searchParams.get('partNumber')),
        size: Number(headers['content-length']),
      }))
      .sort((a, b) => a.number - b.number)
  const isPart = (request: Parameters<Script>[0], number: number): boolean =>
    describeCall(request) === 'UploadPart' && request.url.includes(`partNumber=${number}&`)

  async function isWhole(expected: Buffer): Promise<boolean> {
    return (await readAll(direct, key))?.equals(expected) === true
  }
  async function isNothing(): Promise<void> {
    assert.equal(await direct.stat(key), undefined)
    assert.deepEqual(await leftovers(), [])
  }
  const leftovers = async (): Promise<string[]> =>
    (await listMultiparts(server, scene.bucket)).filter((upload) => upload.startsWith(key))

  it('sends equal parts, but for the last, however the body is cut into chunks', async () => {
    const size = fc.oneof(
      fc.integer({ min: 0, max: 3 * partBytes }),
      fc.integer({ min: -2, max: 2 }).map((more) => 2 * partBytes + more),
    )
    const chunk = fc.oneof(fc.integer({ min: 1, max: 4097 }), fc.integer({ min: 1, max: 2 * partBytes }))
    await fc.assert(
      fc.asyncProperty(size, fc.array(chunk, { minLength: 1, maxLength: 5 }), async (total, sizes) => {
        key = `data/${randomUUID()}/a`
        scene.play(faultless)
        const body = bytes.subarray(0, total)
        const hash = createHash('sha256')
        const writer = await driver.writeStream(key)
        // Small chunks are many: a few hundred of each sort, then the rest.
        for (let at = 0, i = 0; at < total; i++) {
          const piece = body.subarray(at, at + (i < 300 ? (sizes[i % sizes.length] ?? 1) : partBytes))
          hash.update(piece)
          await writer.write(Buffer.from(piece))
          at += piece.length
        }
        await writer.seal()
        const sent = parts()
        const full = Math.floor(total / partBytes)
        const last = total - full * partBytes
        const expected =
          total <= partBytes ? [] : [...Array.from({ length: full }, () => partBytes), ...(last > 0 ? [last] : [])]
        assert.deepEqual(
          sent.map(({ size: one }) => one),
          expected,
        )
        assert.deepEqual(
          sent.map(({ number }) => number),
          expected.map((_, i) => i + 1),
        )
        const stored = await readAll(direct, key)
        assert.equal(
          createHash('sha256')
            .update(stored ?? '')
            .digest('hex'),
          hash.digest('hex'),
        )
      }),
      { numRuns: 10 },
    )
  })

  for (const [size, calls] of [
    [0, ['PutObject']],
    [partBytes - 1, ['PutObject']],
    [partBytes, ['PutObject']],
    [partBytes + 1, ['CreateMultipartUpload', 'UploadPart', 'UploadPart', 'CompleteMultipartUpload']],
    [2 * partBytes, ['CreateMultipartUpload', 'UploadPart', 'UploadPart', 'CompleteMultipartUpload']],
  ] as const) {
    it(`sends ${size} bytes by ${calls.length === 1 ? 'one object' : 'parts'}, in one chunk or many`, async () => {
      for (const chunkBytes of [size, 70_000, partBytes]) {
        scene.play(faultless)
        await send(bytes.subarray(0, size), Math.max(1, chunkBytes))
        assert.deepEqual(scene.calls(), calls)
        assert.ok(await isWhole(bytes.subarray(0, size)))
      }
    })
  }

  it('takes a chunk that is larger than several parts', async () => {
    await send(bytes, bytes.length)
    assert.deepEqual(
      parts().map(({ size }) => size),
      [partBytes, partBytes, partBytes, 1],
    )
    assert.ok(await isWhole(bytes))
  })

  it('tells of chunks in their order, also when a later part is there first', async () => {
    scene.play((request) => (isPart(request, 1) ? { kind: 'delay', ms: 300 } : undefined))
    const written: number[] = []
    const chunks = Array.from({ length: 32 }, (_, i) => Buffer.from(bytes.subarray(i * 500_000, (i + 1) * 500_000)))
    const writer = await driver.writeStream(key, {
      onWritten: (chunk) => written.push(chunks.findIndex((one) => one === chunk)),
    })
    for (const chunk of chunks) await writer.write(chunk)
    await writer.seal()
    assert.deepEqual(
      written,
      chunks.map((_, i) => i),
    )
    assert.ok(await isWhole(bytes))
  })

  for (const fault of [
    internal,
    { kind: 'reset before' },
    { kind: 'lost answer' },
    { kind: 'cut request', bytes: 1_000_000 },
  ] as const) {
    it(`${fault.kind}: sends a part again until it is acknowledged, and no other`, async () => {
      let failures = 2
      scene.play((request) => (isPart(request, 2) && failures-- > 0 ? fault : undefined))
      await send(bytes, 300_000)
      assert.deepEqual(
        parts().map(({ number }) => number),
        [1, 2, 2, 2, 3, 4],
      )
      assert.ok(await isWhole(bytes))
      assert.deepEqual(await leftovers(), [])
    })
  }

  it('gives up when a part fails for good: nothing is visible, nothing is left', async () => {
    const later = await scene.open({ multipartAgeMs: -3_600_000 })
    for (const number of [1, 2, 4]) {
      scene.play((request) => (isPart(request, number) ? internal : undefined))
      await assert.rejects(send(bytes, 300_000), isUnavailable)
      assert.ok(count('AbortMultipartUpload') >= 1)
      assert.equal(count('CompleteMultipartUpload'), 0)
      // The server may have had all of another part, and write it after the last abort: that is left to `tidy`.
      await eventually(async () => (await leftovers()).length === 0 || (await later.tidy()) < 0, 'nothing is left')
      await isNothing()
    }
  })

  it('gives up when the upload cannot be begun, or is gone', async () => {
    scene.play(failNext('CreateMultipartUpload', internal, 99))
    await assert.rejects(send(bytes, 300_000), isUnavailable)
    await isNothing()
    const gone: Fault = { kind: 'status', status: 404, code: 'NoSuchUpload' }
    for (const call of ['UploadPart', 'CompleteMultipartUpload'] as const) {
      scene.play(failNext(call, gone, 99))
      await assert.rejects(send(bytes, 300_000), isUnavailable)
      await isNothing()
    }
  })

  describe('sealing', () => {
    const body = bytes.subarray(0, partBytes + 10)

    it('finds what was completed when the answer was lost', async () => {
      let completes = 0
      scene.play((request) => {
        if (describeCall(request) !== 'CompleteMultipartUpload') return undefined
        // Some stores, not this one, know nothing any more of an upload that they have completed.
        return completes++ === 0 ? { kind: 'lost answer' } : { kind: 'status', status: 404, code: 'NoSuchUpload' }
      })
      await send(body, partBytes)
      assert.deepEqual(scene.calls().slice(-3), ['CompleteMultipartUpload', 'CompleteMultipartUpload', 'HeadObject'])
      assert.ok(await isWhole(body))
      assert.equal(count('AbortMultipartUpload'), 0)
    })

    it('finds it by its writer: an older object of the same size is not what was completed', async () => {
      await direct.write(key, Buffer.alloc(body.length))
      scene.play(failNext('CompleteMultipartUpload', { kind: 'status', status: 404, code: 'NoSuchUpload' }, 99))
      await assert.rejects(send(body, partBytes), isUnavailable)
      assert.deepEqual(await leftovers(), [])
    })

    it('gives the store ten times as long, then looks', async () => {
      const hasty = await scene.open({ socketTimeoutMs: 200, maxAttempts: 2, elapsed: () => 0 })
      scene.play(failNext('CompleteMultipartUpload', { kind: 'hang after' }, 99))
      await send(body, partBytes, hasty)
      assert.equal(count('CompleteMultipartUpload'), 2)
      assert.ok(await isWhole(body))
    })

    it('fails when the store refuses it, and leaves nothing', async () => {
      for (const code of ['InvalidPart', 'AccessDenied']) {
        scene.play(failNext('CompleteMultipartUpload', { kind: 'status', status: 400, code }, 99))
        await assert.rejects(send(body, partBytes), isUnavailable)
        assert.equal(count('CompleteMultipartUpload'), 1)
        await isNothing()
      }
    })

    it('leaves to tidy what cannot be aborted', async () => {
      scene.play((request) => {
        const call = describeCall(request)
        return call === 'CompleteMultipartUpload' || call === 'AbortMultipartUpload' ? internal : undefined
      })
      await assert.rejects(send(body, partBytes), isUnavailable)
      assert.equal((await leftovers()).length, 1)
      const later = await scene.open({ multipartAgeMs: -3_600_000 })
      scene.play(faultless)
      assert.equal(await later.tidy(), 1)
      await isNothing()
    })
  })

  describe('giving up', () => {
    let single: Driver
    before(async () => {
      single = await scene.open({ uploadConcurrency: 1 })
    })

    /** A body of which a call of this sort hangs. */
    async function startStuck(call: S3Call, signal?: AbortSignal) {
      scene.play((request) => (describeCall(request) === call ? { kind: 'hang' } : undefined))
      const writer = await single.writeStream(key, { signal })
      const waiting = writer.write(bytes)
      waiting?.catch(() => undefined)
      await eventually(() => count(call) > 0, 'the call is made')
      return { writer, waiting }
    }

    it('ends parts on their way when it is discarded, at once', async () => {
      const { writer, waiting } = await startStuck('UploadPart')
      const begun = performance.now()
      await writer.discard()
      assert.ok(performance.now() - begun < 10_000)
      await assert.rejects(async () => waiting, { name: 'Error', message: /has ended/ })
      // The store may have had all of the part that was cut, and may write it after the first.
      assert.equal(count('AbortMultipartUpload'), 2)
      await isNothing()
      await writer.discard()
      await assert.rejects(writer.seal(), { name: 'Error', message: /has ended/ })
      await assert.rejects(async () => writer.write(bytes), { name: 'Error', message: /has ended/ })
    })

    it('rejects what waits with the reason of an abort, and takes back the rest at the seal', async () => {
      const controller = new AbortController()
      const { writer, waiting } = await startStuck('UploadPart', controller.signal)
      controller.abort(new Error('enough'))
      await assert.rejects(async () => waiting, { name: 'Error', message: 'enough' })
      await assert.rejects(writer.seal(), { name: 'Error', message: 'enough' })
      // The store may have had all of the part that was cut, and may write it after the first.
      assert.equal(count('AbortMultipartUpload'), 2)
      await isNothing()
    })

    it('waits for the id of an upload that is being begun, and aborts it', async () => {
      const controller = new AbortController()
      scene.play((request) =>
        describeCall(request) === 'CreateMultipartUpload' ? { kind: 'delay', ms: 100 } : undefined,
      )
      const writer = await single.writeStream(key, { signal: controller.signal })
      const waiting = writer.write(bytes)
      waiting?.catch(() => undefined)
      await eventually(() => count('CreateMultipartUpload') === 1, 'the upload is being begun')
      controller.abort(new Error('enough'))
      await writer.discard()
      await assert.rejects(async () => waiting, /enough/)
      assert.deepEqual(scene.calls(), ['CreateMultipartUpload', 'AbortMultipartUpload'])
      await isNothing()
    })

    it('does not cut off what makes the body visible: it is told what has happened', async () => {
      for (const [call, body] of [
        ['PutObject', bytes.subarray(0, 1000)],
        ['CompleteMultipartUpload', bytes.subarray(0, partBytes + 1)],
      ] as const) {
        const controller = new AbortController()
        scene.play((request) => (describeCall(request) === call ? { kind: 'delay', ms: 100 } : undefined))
        const writer = await driver.writeStream(key, { signal: controller.signal })
        await writer.write(Buffer.from(body))
        const sealed = writer.seal()
        await eventually(() => count(call) === 1, 'it is being made visible')
        controller.abort(new Error('enough'))
        await sealed
        assert.ok(await isWhole(body))
      }
    })

    it('does nothing more for a body that is discarded while it is sealed', async () => {
      scene.play((request) => (describeCall(request) === 'PutObject' ? { kind: 'delay', ms: 50 } : undefined))
      const writer = await driver.writeStream(key)
      await writer.write(Buffer.from('x'))
      const sealed = writer.seal()
      await writer.discard()
      await sealed
      assert.equal((await readAll(direct, key))?.toString(), 'x')
    })
  })
})
