/** `berth gc` on a bucket: what was taken back is freed only when no copy of it can land any more, so one run by hand waits for that. */
import assert from 'node:assert/strict'
import { it } from 'node:test'
import { ListObjectsV2Command } from '@aws-sdk/client-s3'
import { run } from '../cli/surroundings.ts'
import { startBerth } from '../clients/berth.ts'
import { digestOf } from '../clients/layout.ts'
import { createBucketFor } from './open.ts'
import { createClient, reasonToSkip, startVersitygw } from './servers.ts'
import { s3Environment } from './settings.ts'

/** What nothing names is due a second later: a bucket has whole seconds. */
const hasty = {
  BERTH_REGISTRY_LEASE: '1s',
  BERTH_SWEEP_GARBAGE_AGE: '0s',
  BERTH_SWEEP_UPLOAD_IDLE: '1s',
  BERTH_SWEEP_COPY_WINDOW: '1s',
}

it(
  'berth gc frees what nothing names, without a server that sweeps',
  { skip: reasonToSkip('versitygw') },
  async (t) => {
    const server = await startVersitygw()
    t.after(() => server.remove())
    const bucket = await createBucketFor(server)
    const client = createClient(server)
    t.after(() => client.destroy())
    const keysOf = async (prefix: string): Promise<readonly string[]> => {
      const { Contents = [] } = await client.send(new ListObjectsV2Command({ Bucket: bucket, Prefix: prefix }))
      return Contents.map(({ Key = '' }) => Key)
    }
    const berth = await startBerth({ storage: 's3', s3: { server, bucket }, env: { BERTH_SWEEP_ENABLED: 'false' } })
    t.after(() => berth.stop())
    const body = Buffer.from('nobody names this')
    const path = `/v2/a/b/blobs/uploads/?digest=${digestOf(body)}`
    assert.equal((await fetch(berth.url + path, { method: 'POST', body })).status, 201)

    const environment = { ...s3Environment(server, bucket), ...hasty }
    // Until the lease is over, a run leaves it alone.
    const end = performance.now() + 30_000
    while ((await keysOf('data/')).length > 0) {
      assert.ok(performance.now() < end, 'it was not freed within 30 s')
      const { code, err } = await run(['gc'], { environment })
      assert.equal(code, 0, err)
    }
    assert.deepEqual(await keysOf('uploads/'), [])
    // This store cannot remove a link for certain.
    assert.deepEqual(
      (await keysOf('')).map((key) => key.split('/')[0]),
      ['berth', 'blobs'],
    )
  },
)
