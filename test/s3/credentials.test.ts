/** Without an access key in the configuration the SDK finds one: temporary credentials are taken, and taken anew before they are over. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer } from 'node:http'
import { after, before, beforeEach, it } from 'node:test'
import type { Driver } from '../../src/storage/driver.ts'
import { createBucketFor, openS3 } from './open.ts'
import { type Proxy, startProxy } from './proxy.ts'
import { reasonToSkip, type S3Server, startMoto } from './servers.ts'

const hour = 3_600_000
const skip = reasonToSkip('moto')

/** The names by which the SDK looks for credentials, and no others. */
const names = [
  'AWS_ACCESS_KEY_ID',
  'AWS_SECRET_ACCESS_KEY',
  'AWS_PROFILE',
  'AWS_CONTAINER_CREDENTIALS_FULL_URI',
  'AWS_EC2_METADATA_DISABLED',
]
const environment = Object.fromEntries(names.map((name) => [name, process.env[name]]))

let server: S3Server
let proxy: Proxy
let bucket: string
/** What the host says that gives credentials, and how often it was asked. */
let lifeMs = hour
let isAway = false
let given = 0
const host = createServer((_, response) => {
  if (isAway) {
    response.writeHead(500).end()
    return
  }
  given++
  response.setHeader('content-type', 'application/json')
  const Expiration = new Date(Date.now() + lifeMs).toISOString()
  response.end(
    JSON.stringify({ AccessKeyId: `key${given}`, SecretAccessKey: 'secret', Token: `token ${given}`, Expiration }),
  )
})

before(async () => {
  if (skip !== false) return
  server = await startMoto()
  bucket = await createBucketFor(server)
  proxy = await startProxy(server.endpoint)
  host.listen(0, '127.0.0.1')
  await once(host, 'listening')
  const address = host.address()
  assert.ok(address !== null && typeof address === 'object')
  for (const name of names) Reflect.deleteProperty(process.env, name)
  process.env['AWS_CONTAINER_CREDENTIALS_FULL_URI'] = `http://127.0.0.1:${address.port}/`
  process.env['AWS_EC2_METADATA_DISABLED'] = 'true'
})
after(async () => {
  for (const [name, value] of Object.entries(environment)) {
    if (value === undefined) Reflect.deleteProperty(process.env, name)
    else process.env[name] = value
  }
  host.closeAllConnections()
  host.close()
  if (skip !== false) return
  await proxy.close()
  await server.remove()
})
beforeEach(() => {
  given = 0
  isAway = false
  lifeMs = hour
  proxy?.requests.clear()
})

const open = (): Promise<Driver> =>
  openS3({ ...server, endpoint: proxy.endpoint }, bucket, { credentials: undefined, redirect: { urlAgeMs: 60_000 } })

/** Calls by the SDK and by ourselves. */
async function useAll(driver: Driver): Promise<void> {
  await driver.write('data/a/b', Buffer.from('x'))
  assert.equal((await driver.read('data/a/b'))?.bytes.toString(), 'x')
  await driver.list('data/', { limit: 1 })
  assert.equal((await driver.stat('data/a/b'))?.size, 1)
}

it('credentials are asked for once, and every call has their token', { skip }, async () => {
  const driver = await open()
  await useAll(driver)
  const writer = await driver.writeStream('data/a/c')
  await writer.write(Buffer.alloc(6 * 1024 * 1024))
  await writer.seal()
  assert.equal(given, 1)
  for (const { headers } of proxy.requests) {
    assert.equal(headers['x-amz-security-token'], 'token 1')
    assert.match(headers.authorization ?? '', /Credential=key1\//)
  }
  assert.match((await driver.signUrl?.('data/a/b')) ?? '', /X-Amz-Credential=key1%2F.*X-Amz-Security-Token=token%201/)
  await driver.close()
})

it('credentials that are nearly over are taken anew, for calls of both ways', { skip }, async () => {
  lifeMs = 1000
  const driver = await open()
  const before = given
  lifeMs = hour
  await useAll(driver)
  // Once by each way at most, not by each call.
  assert.ok(given > before && given <= before + 2, `${before} and ${given}`)
  const last = proxy.requests.at(-1)
  assert.equal(last?.headers['x-amz-security-token'], `token ${given}`)
  const now = given
  await useAll(driver)
  assert.equal(given, now)
  await driver.close()
})

it('what there is goes on being used while nobody gives credentials', { skip }, async () => {
  lifeMs = 1000
  const driver = await open()
  isAway = true
  const before = given
  await useAll(driver)
  assert.equal(proxy.requests.at(-1)?.headers['x-amz-security-token'], `token ${before}`)
  isAway = false
  lifeMs = hour
  await useAll(driver)
  await driver.close()
})
