/** Calls are made again a few times, after pauses that differ, less often while nothing goes well, and not after an abort. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { isPutOff, S3Error } from '../../src/storage/s3/errors.ts'
import { createRetry, type RetryOptions, untilAborted } from '../../src/storage/s3/retry.ts'

const passing = new S3Error('InternalError', 500, 'passing')
const lasting = new S3Error('AccessDenied', 403, 'lasting')

function setUp(options: Partial<RetryOptions> = {}) {
  const pauses: number[] = []
  const sleep = async (ms: number): Promise<void> => void pauses.push(ms)
  return { pauses, retry: createRetry({ maxAttempts: 4, random: () => 0.5, sleep, ...options }) }
}

/** A call that fails so often, then answers. */
function failing(times: number, error: unknown = passing) {
  const call = async (): Promise<string> => {
    call.count++
    if (call.count <= times) throw error
    return 'ok'
  }
  call.count = 0
  return call
}

describe('retry', () => {
  it('makes a call again that failed in passing, after pauses that grow and are part of their longest', async () => {
    const { pauses, retry } = setUp()
    const call = failing(3)
    assert.equal(await retry(call, {}), 'ok')
    assert.equal(call.count, 4)
    assert.deepEqual(pauses, [50, 100, 200])
  })

  it('pauses at most for five seconds', async () => {
    const { pauses, retry } = setUp({ maxAttempts: 12 })
    await retry(failing(11), {})
    assert.deepEqual(pauses.slice(-3), [2500, 2500, 2500])
  })

  it('gives up after so many attempts, with the last error', async () => {
    const { pauses, retry } = setUp()
    const call = failing(9)
    await assert.rejects(retry(call, {}), passing)
    assert.deepEqual([call.count, pauses.length], [4, 3])
  })

  it('does not make a call again that will not go well, nor one that has a bug', async () => {
    const { retry } = setUp()
    for (const error of [lasting, new Error('bug'), new TypeError('bug')]) {
      const call = failing(1, error)
      await assert.rejects(retry(call, {}), error)
      assert.equal(call.count, 1)
    }
  })

  it('asks the caller which errors may be repeated', async () => {
    const { retry } = setUp()
    const call = failing(1)
    await assert.rejects(retry(call, { mayRepeat: isPutOff }), passing)
    assert.equal(call.count, 1)
    assert.equal(await retry(failing(1, new S3Error('SlowDown', 503, '')), { mayRepeat: isPutOff }), 'ok')
  })

  it('makes a hundred calls again while nothing goes well, and one more for ten that do', async () => {
    const { pauses, retry } = setUp()
    for (let i = 0; i < 50; i++) await assert.rejects(retry(failing(9), {}), passing)
    assert.equal(pauses.length, 100)
    const once = failing(1)
    await assert.rejects(retry(once, {}), passing)
    for (let i = 0; i < 9; i++) await retry(failing(0), {})
    await assert.rejects(retry(failing(1), {}), passing)
    for (let i = 0; i < 2; i++) await retry(failing(0), {})
    assert.equal(await retry(failing(1), {}), 'ok')
    await assert.rejects(retry(failing(1), {}), passing)
  })

  it('has no more than that to spare, however long all went well', async () => {
    const { pauses, retry } = setUp()
    for (let i = 0; i < 2000; i++) await retry(failing(0), {})
    for (let i = 0; i < 50; i++) await assert.rejects(retry(failing(9), {}), passing)
    assert.equal(pauses.length, 100)
  })

  it('rejects with the reason of a signal that is aborted in a pause, and makes no call again', async () => {
    const reason = new Error('enough')
    const controller = new AbortController()
    // As a timer does, with an error of its own.
    const sleep = async (): Promise<void> => {
      controller.abort(reason)
      throw new DOMException('aborted', 'AbortError')
    }
    const call = failing(9)
    await assert.rejects(setUp({ sleep }).retry(call, { signal: controller.signal }), reason)
    assert.equal(call.count, 1)
  })

  it('of a change, an abort ends the attempts with what the last one said', async () => {
    const controller = new AbortController()
    const { retry, pauses } = setUp()
    const call = async (): Promise<never> => {
      controller.abort(new Error('enough'))
      throw passing
    }
    await assert.rejects(retry(call, untilAborted({ signal: controller.signal })), passing)
    assert.deepEqual(pauses, [])
  })
})
