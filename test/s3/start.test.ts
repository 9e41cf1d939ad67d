/** What an operator is told at start: every cause is a real one, or played by the proxy where the servers have none. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer, type RequestListener, type Server } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import { randomUUID } from 'node:crypto'
import { PutBucketVersioningCommand } from '@aws-sdk/client-s3'
import { after, before, describe, it, type TestContext } from 'node:test'
import { checkDriver } from '../../src/storage/check.ts'
import type { S3Options } from '../../src/storage/s3/options.ts'
import { byteSteps } from '../../src/storage/probe/bytes.ts'
import { freePort } from '../clients/port.ts'
import { testKeySpace } from '../storage/folder.ts'
import { describeCall, type S3Call } from './calls.ts'
import { createCertificate } from './certificate.ts'
import { createBucketFor, openS3 } from './open.ts'
import { deaf, type Script, startProxy } from './proxy.ts'
import { createClient, reasonToSkip, type S3Server, startMoto, startVersitygw } from './servers.ts'

const check = { keySpace: testKeySpace, scratchPrefix: 'scratch/', createId: randomUUID }
const minutes = 60_000

/** Opening with these options fails with this sentence: one line without secret, stack or doubled stop. */
async function refusesToOpen(server: S3Server, bucket: string, options: Partial<S3Options>, sentence: RegExp) {
  await assert.rejects(openS3(server, bucket, options), (error) => {
    assert.ok(error instanceof Error)
    assert.match(error.message, sentence)
    assert.doesNotMatch(error.message, /\n|\.\.|\.$|\.\)|hunter2|testtest| {2}|^Error|\bat \S+\.[jt]s/)
    return true
  })
}

async function portOf(t: TestContext, server: Server, port = 0): Promise<number> {
  server.listen(port, '127.0.0.1')
  t.after(() => {
    server.closeAllConnections()
    server.close()
  })
  await once(server, 'listening')
  const address = server.address()
  assert.ok(address !== null && typeof address === 'object')
  return address.port
}

function setVariables(variables: readonly (readonly [string, string | undefined])[]): void {
  for (const [name, value] of variables) {
    if (value === undefined) delete process.env[name]
    else process.env[name] = value
  }
}

/** Somebody who is no S3 store. */
async function startStranger(t: TestContext, answer: RequestListener): Promise<string> {
  return `http://127.0.0.1:${await portOf(t, createServer(answer))}`
}

const fail =
  (status: number, code: string, only?: S3Call): Script =>
  (request) =>
    only === undefined || describeCall(request) === only ? { kind: 'status', status, code } : undefined

describe('opening a bucket', { skip: reasonToSkip('versitygw') }, () => {
  let server: S3Server
  let bucket: string
  before(async () => {
    server = await startVersitygw()
    bucket = await createBucketFor(server)
  })
  after(() => server.remove())

  const refuses = (options: Partial<S3Options>, sentence: RegExp) => refusesToOpen(server, bucket, options, sentence)

  async function refusesBehind(t: TestContext, script: Script, sentence: RegExp) {
    const proxy = await startProxy(server.endpoint, script)
    t.after(() => proxy.close())
    await refuses({ endpoint: proxy.endpoint }, sentence)
  }

  describe('says what is wrong with the bucket', () => {
    it('it is not there', () =>
      refuses(
        { bucket: 'nowhere' },
        /^there is no bucket nowhere at http:\S+ \(NoSuchBucket: .*\): create it, or correct storage\.s3\.bucket$/,
      ))

    it('it has a name that none can have', () =>
      refuses({ bucket: 'No_Bucket' }, /^the store does not take No_Bucket for .*: correct storage\.s3\.bucket$/))

    it('it is in another region', () =>
      refuses(
        { region: 'eu-central-1' },
        /is not in the region eu-central-1 \(AuthorizationHeaderMalformed: .*\): set storage\.s3\.region to us-east-1$/,
      ))

    it('it is elsewhere, which AWS says with a 301', async (t) => {
      await refusesBehind(t, fail(301, 'PermanentRedirect'), /is not in the region .*: correct storage\.s3\.region$/)
      const endpoint = await startStranger(t, (_, answer) => {
        answer.writeHead(301, { 'x-amz-bucket-region': 'eu-west-3', 'content-type': 'application/xml' })
        answer.end('<Error><Code>PermanentRedirect</Code><Message>Go there.</Message></Error>')
      })
      await refuses({ endpoint }, /\(PermanentRedirect: Go there\): set storage\.s3\.region to eu-west-3$/)
    })
  })

  describe('says what is wrong with the credentials', () => {
    const advice = /: check storage\.s3\.accessKeyId and storage\.s3\.secretAccessKey, or what the AWS SDK finds/

    it('the secret is another', () =>
      refuses(
        { credentials: { accessKeyId: 'test', secretAccessKey: 'hunter2' } },
        new RegExp(`^the secret key does not belong to the access key \\(SignatureDoesNotMatch.*${advice.source}`),
      ))

    it('the access key is unknown, by whatever name', async (t) => {
      const sentence = new RegExp(`^the store does not know the access key .*${advice.source}`)
      await refuses({ credentials: { accessKeyId: 'nobody', secretAccessKey: 'hunter2' } }, sentence)
      await refusesBehind(t, fail(403, 'InvalidAccessKeyId'), sentence)
    })

    it('they have expired', (t) => refusesBehind(t, fail(400, 'ExpiredToken'), /^the credentials have expired/))

    it('there are none', async () => {
      // What the machine of a developer has must not be found.
      const hidden = {
        AWS_ACCESS_KEY_ID: undefined,
        AWS_SECRET_ACCESS_KEY: undefined,
        AWS_PROFILE: undefined,
        AWS_WEB_IDENTITY_TOKEN_FILE: undefined,
        AWS_CONTAINER_CREDENTIALS_RELATIVE_URI: undefined,
        AWS_CONTAINER_CREDENTIALS_FULL_URI: undefined,
        AWS_EC2_METADATA_DISABLED: 'true',
        AWS_SHARED_CREDENTIALS_FILE: '/nowhere',
        AWS_CONFIG_FILE: '/nowhere',
      }
      const kept = Object.keys(hidden).map((name) => [name, process.env[name]] as const)
      setVariables(Object.entries(hidden))
      try {
        await refuses({ credentials: undefined }, new RegExp(`^no credentials were found \\(.*${advice.source}`))
      } finally {
        setVariables(kept)
      }
    })

    it('they have no right to list, or to write', async (t) => {
      await refusesBehind(
        t,
        fail(403, 'AccessDenied'),
        /^the store does not let these credentials list the bucket \S+ \(AccessDenied: .*\): docs\/storage\.md has the rights/,
      )
      const proxy = await startProxy(server.endpoint, fail(403, 'AccessDenied', 'PutObject'))
      t.after(() => proxy.close())
      const driver = await openS3(server, bucket, { endpoint: proxy.endpoint })
      await assert.rejects(checkDriver(driver, check), {
        message: /^the store cannot be used: writing .*AccessDenied.*: docs\/storage\.md has the rights/,
      })
      await driver.close()
    })
  })

  it('says that the clocks differ', async (t) => {
    const advice = ': set one of them right, e\\.g\\. by NTP$'
    const off = (ms: number) => ({ now: () => Date.now() + ms })
    await refuses(off(10 * minutes), new RegExp(`^the clock of this machine is 10 minutes ahead of .*${advice}`))
    await refuses(off(-7 * minutes), new RegExp(`^the clock of this machine is 7 minutes behind .*${advice}`))
    await refusesBehind(t, fail(403, 'RequestTimeTooSkewed'), new RegExp(`more than 15 minutes .*${advice}`))
    const driver = await openS3(server, bucket, off(2 * minutes))
    await driver.close()
  })

  describe('says what is wrong with the way to it', () => {
    it('nobody listens there', async () => {
      const endpoint = `http://127.0.0.1:${await freePort()}`
      await refuses(
        { endpoint },
        /^the store at http:\S+ does not answer \(ECONNREFUSED.*: check storage\.s3\.endpoint/,
      )
    })

    it('the name is not found', () =>
      refuses(
        { endpoint: 'http://nowhere.invalid' },
        /^the name in http:\/\/nowhere\.invalid is not found \((ENOTFOUND|EAI_AGAIN).*: check storage\.s3\.endpoint/,
      ))

    it('it does not answer', async (t) => {
      const endpoint = await startStranger(t, () => undefined)
      await refuses(
        { endpoint, socketTimeoutMs: 50, maxAttempts: 1 },
        /does not answer \(.*: check storage\.s3\.endpoint/,
      )
    })

    it('it fails', (t) =>
      refusesBehind(t, fail(503, 'SlowDown'), /^the store at \S+ fails \(SlowDown.*, 503\): try again when it is well/))

    it('somebody takes its place later: what he does not find is not absent', async (t) => {
      const proxy = await startProxy(server.endpoint)
      const port = Number(new URL(proxy.endpoint).port)
      const driver = await openS3(server, bucket, { endpoint: proxy.endpoint })
      t.after(() => driver.close())
      await driver.write('data/there', Buffer.from('here'))
      await proxy.close()
      const gateway = createServer((_, answer) => answer.writeHead(404).end('default backend'))
      await portOf(t, gateway, port)
      await assert.rejects(driver.read('data/there'), { reason: 'unavailable' })
      await assert.rejects(driver.list('data/', { limit: 1 }), { reason: 'unavailable' })
    })

    it('somebody else answers', async (t) => {
      for (const text of ['', '<html></html>', '<html>', 'well']) {
        const endpoint = await startStranger(t, (_, answer) => answer.end(text))
        await refuses(
          { endpoint },
          /^http:\S+ does not answer as an S3 store does \(.*\): check storage\.s3\.endpoint$/,
        )
      }
      const endpoint = await startStranger(t, (_, answer) => answer.writeHead(404).end('default backend'))
      await refuses(
        { endpoint },
        /404\): does storage\.s3\.endpoint name an S3 store, and does storage\.s3\.pathStyle suit/,
      )
    })
  })

  describe('says what is wrong with TLS', () => {
    const startTls = async (t: TestContext, options: Parameters<typeof createCertificate>[0] = {}) => {
      const certificate = createCertificate(options)
      const port = await portOf(t, createTlsServer(certificate))
      return { endpoint: `https://127.0.0.1:${port}`, certificates: certificate.cert }
    }

    it('its certificate is signed by nobody we know', async (t) => {
      const { endpoint } = await startTls(t)
      const sentence =
        /^the certificate of https:\S+ is not trusted \(DEPTH_ZERO_SELF_SIGNED_CERT: .*\): name a file .* storage\.s3\.caFile$/
      await refuses({ endpoint }, sentence)
      await refuses({ endpoint, certificates: createCertificate().cert }, sentence)
    })

    it('its certificate is for another host', async (t) =>
      refuses(await startTls(t, { host: 'elsewhere.example' }), /is for another host \(.*: write its name in storage/))

    it('its certificate has expired', async (t) =>
      refuses(await startTls(t, { until: Date.now() - minutes }), /is not valid now \(CERT_HAS_EXPIRED.*: renew it/))

    it('it speaks http', () =>
      refuses(
        { endpoint: server.endpoint.replace('http:', 'https:') },
        /does not speak TLS.*: does storage\.s3\.endpoint begin with http:\/\/\?$/,
      ))

    it('it speaks https', async (t) => {
      const { endpoint } = await startTls(t)
      await refuses({ endpoint: endpoint.replace('https:', 'http:') }, /does the endpoint begin with https:\/\/\?$/)
    })
  })
})

describe('a store that speaks TLS', { skip: reasonToSkip('versitygw') }, () => {
  it('is used with the authority of its certificate: small calls, parts, ranges, all that a start tries', async (t) => {
    const certificate = createCertificate()
    const server = await startVersitygw({ certificate })
    t.after(() => server.remove())
    const bucket = await createBucketFor(server)
    await refusesToOpen(server, bucket, {}, /is not trusted/)
    const driver = await openS3(server, bucket, { certificates: certificate.cert })
    t.after(() => driver.close())
    await checkDriver(driver, check)
    const key = (name: string = randomUUID()): string => `scratch/tls/${name}`
    const scratch = { ...check, driver, prefix: 'scratch/tls/', key, now: Date.now, elapsedMs: () => performance.now() }
    for (const { name, run } of byteSteps(5 * 1024 * 1024)) {
      const { outcome, said } = await run({ ...scratch, signal: new AbortController().signal })
      assert.equal(outcome, 'ok', `${name}: ${said}`)
    }
  })
})

describe('versioning', { skip: reasonToSkip('moto') }, () => {
  let server: S3Server
  let bucket: string
  before(async () => {
    server = await startMoto()
    bucket = await createBucketFor(server)
  })
  after(() => server.remove())

  async function warningsOf(endpoint: string): Promise<string[]> {
    const warnings: string[] = []
    const driver = await openS3(server, bucket, { endpoint, warn: (message) => void warnings.push(message) })
    await driver.close()
    return warnings
  }

  it('is warned of when it is on, and asked for only by those who want to hear it', async (t) => {
    assert.deepEqual(await warningsOf(server.endpoint), [])
    const client = createClient(server)
    const VersioningConfiguration = { Status: 'Enabled' } as const
    await client.send(new PutBucketVersioningCommand({ Bucket: bucket, VersioningConfiguration }))
    client.destroy()
    const warning = `the bucket ${bucket} has versioning on: deletes free nothing without a lifecycle rule that removes old versions`
    assert.deepEqual(await warningsOf(server.endpoint), [warning])
    const proxy = await startProxy(server.endpoint)
    t.after(() => proxy.close())
    await (await openS3(server, bucket, { endpoint: proxy.endpoint })).close()
    assert.deepEqual(proxy.requests.map(describeCall), ['ListObjectsV2'])
  })

  it('is no matter when the store does not say', async (t) => {
    for (const [status, code] of [
      [403, 'AccessDenied'],
      [501, 'NotImplemented'],
      [500, 'InternalError'],
    ] as const) {
      const proxy = await startProxy(server.endpoint, fail(status, code, 'GetBucketVersioning'))
      t.after(() => proxy.close())
      assert.deepEqual(await warningsOf(proxy.endpoint), [])
      // Asked once: a start does not wait for it.
      assert.deepEqual(proxy.requests.map(describeCall), ['ListObjectsV2', 'GetBucketVersioning'])
    }
  })
})

describe('a store without conditions', { skip: reasonToSkip('moto') }, () => {
  const sentences: readonly (readonly [string, Script, RegExp])[] = [
    [
      'ignores them',
      deaf,
      /^the store ignores "only if absent" and overwrites; it cannot keep a registry: use one .* docs\/storage\.md/,
    ],
    [
      'does not know them',
      ({ headers }) =>
        headers['if-none-match'] === undefined ? undefined : { kind: 'status', status: 501, code: 'NotImplemented' },
      /^the store cannot be used: the store does not know "only if absent" \(NotImplemented, 501\); it cannot keep a registry: use one .* docs\/storage\.md/,
    ],
  ]
  for (const [what, script, sentence] of sentences) {
    it(`is refused at start when it ${what}`, async (t) => {
      const server = await startMoto()
      t.after(() => server.remove())
      const bucket = await createBucketFor(server)
      const proxy = await startProxy(server.endpoint, script)
      t.after(() => proxy.close())
      const driver = await openS3(server, bucket, { endpoint: proxy.endpoint })
      t.after(() => driver.close())
      await assert.rejects(checkDriver(driver, check), { message: sentence })
      assert.deepEqual((await driver.list('', { limit: 1 })).entries, [])
    })
  }
})
