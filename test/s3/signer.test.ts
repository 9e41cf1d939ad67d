/** Our signatures are those of the SDK, byte for byte, and a store that checks them takes ours and no other. */
import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { GetObjectCommand, type GetObjectCommandInput, HeadObjectCommand, S3Client } from '@aws-sdk/client-s3'
import fc from 'fast-check'
import { request } from 'undici'
import type { Driver } from '../../src/storage/driver.ts'
import { createSigner, encodePath, encodeText, type SigningKeys } from '../../src/storage/s3/signer.ts'
import { createBucketFor, openS3 } from './open.ts'
import { isUnavailable } from './scene.ts'
import { reasonToSkip, type S3Server, startVersitygw } from './servers.ts'

const permanent = { accessKeyId: 'AKIDEXAMPLE', secretAccessKey: 'wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY' }
const temporary = { ...permanent, sessionToken: 'FwoGZXIvYXdzE//////////wEaD+token/with=signs&more' }
const region = 'eu-central-1'

interface Captured {
  readonly path: string
  readonly headers: Readonly<Record<string, string>>
  /** What the SDK gave its signer, for another signature of the same. */
  readonly request: object
}

function property(from: unknown, name: string): unknown {
  return typeof from === 'object' && from !== null ? Reflect.get(from, name) : undefined
}

/** The SDK's client, and what it would send, signed; nothing is sent. */
function createSdk({ accessKeyId, secretAccessKey, sessionToken }: SigningKeys, endpoint: string) {
  const client = new S3Client({
    endpoint,
    region,
    credentials: { accessKeyId, secretAccessKey, ...(sessionToken === undefined ? {} : { sessionToken }) },
    forcePathStyle: true,
    requestChecksumCalculation: 'WHEN_REQUIRED',
    responseChecksumValidation: 'WHEN_REQUIRED',
  })
  let request: unknown
  client.middlewareStack.add(
    (next) => (args) => {
      // It says which operation it is, which no store needs.
      Reflect.set(Object(args.request), 'query', {})
      return next(args)
    },
    { step: 'build', name: 'bare', priority: 'low' },
  )
  client.middlewareStack.addRelativeTo(
    () => async (args: { readonly request: unknown }) => {
      request = args.request
      return { response: {}, output: { $metadata: {} } }
    },
    { relation: 'after', toMiddleware: 'httpSigningMiddleware', name: 'capture' },
  )
  return {
    client,
    capture: async (method: 'GET' | 'HEAD', input: GetObjectCommandInput): Promise<Captured> => {
      await (method === 'GET' ? client.send(new GetObjectCommand(input)) : client.send(new HeadObjectCommand(input)))
      const all = Object.entries(Object(property(request, 'headers')))
      const headers = Object.fromEntries(all.map(([name, value]) => [name.toLowerCase(), String(value)]))
      return { path: String(property(request, 'path')), headers, request: Object(request) }
    },
  }
}

/** `20261130T104507Z`, in ms. */
function parseTime(time = ''): number {
  return Date.parse(time.replace(/^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/, '$1-$2-$3T$4:$5:$6Z'))
}

const signedNames = (authorization = ''): string[] =>
  (/SignedHeaders=([^,]+)/.exec(authorization)?.[1] ?? '').split(';')

/** Every character that a key may have. */
const keyText = fc
  .array(fc.string({ unit: fc.constantFrom(...Array.from('abzAZ019._-!+~^@')), minLength: 1, maxLength: 12 }), {
    minLength: 1,
    maxLength: 4,
  })
  .map((segments) => segments.map((segment) => segment.replace(/^\.+/, '_')).join('/'))

describe('signatures', () => {
  for (const [kind, keys] of Object.entries({ permanent, temporary })) {
    it(`of requests are the SDK's, with ${kind} credentials`, async () => {
      const { client, capture } = createSdk(keys, 'http://store.example:9000')
      const signer = createSigner(region)
      const inputs = fc.record({
        Key: keyText,
        method: fc.constantFrom('GET' as const, 'HEAD' as const),
        range: fc.option(fc.tuple(fc.nat(), fc.nat())),
        etag: fc.option(fc.constantFrom('"d41d8cd98f00b204e9800998ecf8427e"', '"a-2"')),
      })
      await fc.assert(
        fc.asyncProperty(inputs, async ({ Key, method, range, etag }) => {
          const sdk = await capture(method, {
            Bucket: 'some-bucket',
            Key,
            ...(range === null ? {} : { Range: `bytes=${range[0]}-${range[1]}` }),
            ...(etag === null ? {} : { IfMatch: etag }),
          })
          assert.equal(sdk.path, `/some-bucket/${encodePath(Key)}`)
          // The same headers: the SDK signs some of its own.
          const ours = ['host', 'x-amz-content-sha256', 'x-amz-date', 'x-amz-security-token']
          const more = signedNames(sdk.headers['authorization']).filter((name) => !ours.includes(name))
          assert.ok(range === null || more.includes('range'))
          assert.ok(etag === null || more.includes('if-match'))
          const headers = Object.fromEntries(more.map((name) => [name, sdk.headers[name] ?? '']))
          const toSign = { method, host: sdk.headers['host'] ?? '', path: sdk.path, headers }
          const signed = signer.sign(toSign, keys, parseTime(sdk.headers['x-amz-date']))
          for (const name of [...ours, 'authorization']) assert.equal(signed[name], sdk.headers[name], name)
        }),
        { numRuns: 60 },
      )
      client.destroy()
    })

    it(`of URLs are the SDK's, with ${kind} credentials`, async () => {
      const { client, capture } = createSdk(keys, 'https://store.example')
      const signer = createSigner(region)
      const sdkSigner: unknown = await client.config.signer()
      const presign = property(sdkSigner, 'presign')
      assert.ok(typeof presign === 'function')
      await fc.assert(
        fc.asyncProperty(
          keyText,
          fc.integer({ min: 1, max: 604_800 }),
          fc.date({ min: new Date('2020-01-01'), max: new Date('2035-01-01'), noInvalidDate: true }),
          async (Key, seconds, date) => {
            const { request: sent, path, headers } = await capture('GET', { Bucket: 'some-bucket', Key })
            // As the SDK's own presigner does; but that goes on to say in the URL that the body is not signed.
            const hash = 'x-amz-content-sha256'
            const unsigned = { host: headers['host'], [hash]: 'UNSIGNED-PAYLOAD' }
            const bare: unknown = Object.assign(Object.create(Object.getPrototypeOf(sent)), sent, {
              headers: unsigned,
              query: {},
            })
            const options = {
              expiresIn: seconds,
              signingDate: date,
              signingRegion: region,
              signingService: 's3',
              unsignableHeaders: new Set([hash]),
              unhoistableHeaders: new Set([hash]),
            }
            const result: unknown = await presign.call(sdkSigner, bare, options)
            const query = Object.entries(Object(property(result, 'query'))).map(
              ([name, value]) => [name, String(value)] as const,
            )
            const toSign = { method: 'GET', host: headers['host'] ?? '', path } as const
            const url = new URL(`https://store.example${signer.presign(toSign, keys, date.getTime(), seconds)}`)
            const sorted = (pairs: readonly (readonly [string, string])[]) =>
              pairs.map(([name, value]) => `${name}=${value}`).sort()
            assert.deepEqual(sorted([...url.searchParams]), sorted(query))
            assert.equal(property(result, 'path'), path)
          },
        ),
        { numRuns: 40 },
      )
      client.destroy()
    })
  }

  it('have keys of the day: of another day, secret or region they are others', () => {
    const toSign = { method: 'GET', host: 'h', path: '/b/k' } as const
    const day = 86_400_000
    const sign = (keys: SigningKeys, now: number, signer = createSigner(region)) =>
      signer.sign(toSign, keys, now)['authorization']
    const kept = createSigner(region)
    for (const [keys, now] of [
      [permanent, 0],
      [permanent, day - 1],
      [permanent, day],
      [{ ...permanent, secretAccessKey: 'x' }, day],
      [permanent, day],
    ] as const) {
      assert.equal(sign(keys, now, kept), sign(keys, now))
    }
    assert.notEqual(sign(permanent, 0, createSigner('us-east-1')), sign(permanent, 0))
  })

  it('encode as RFC 3986 has it', () => {
    assert.equal(encodeText("aZ09-._~!'()*+^@ /=ä"), 'aZ09-._~%21%27%28%29%2A%2B%5E%40%20%2F%3D%C3%A4')
    assert.equal(encodePath('a!/b+c'), 'a%21/b%2Bc')
  })
})

describe('a store that checks signatures', { skip: reasonToSkip('versitygw') }, () => {
  const key = 'data/a!b+c~d^e@f/_.-'
  let server: S3Server
  let bucket: string
  let driver: Driver
  before(async () => {
    server = await startVersitygw()
    bucket = await createBucketFor(server)
    driver = await openS3(server, bucket, { redirect: { urlAgeMs: 60_000 } })
    await driver.write(key, Buffer.from('0123456789'))
  })
  after(async () => {
    await driver.close()
    await server.remove()
  })

  const fetchUrl = async (url: string, headers: Record<string, string> = {}, method: 'GET' | 'HEAD' = 'GET') => {
    const { statusCode, body } = await request(url, { method, headers })
    return { status: statusCode, text: await body.text() }
  }
  const sign = async (): Promise<string> => (await driver.signUrl?.(key)) ?? assert.fail('no URL')

  it('takes ours, with every character of a key, a range and a condition', async () => {
    assert.equal((await driver.read(key))?.bytes.toString(), '0123456789')
    assert.equal((await driver.stat(key))?.size, 10)
    const opened = await driver.open(key, { start: 2, end: 5 })
    assert.equal(opened?.size, 3)
    await opened?.close()
  })

  it('takes our URLs, also for a range, and for nothing else', async () => {
    const url = await sign()
    assert.deepEqual(await fetchUrl(url), { status: 200, text: '0123456789' })
    assert.deepEqual(await fetchUrl(url, { range: 'bytes=2-4' }), { status: 206, text: '234' })
    const signature = /X-Amz-Signature=(.)/.exec(url)?.[1] ?? ''
    const tampered = [
      url.replace('X-Amz-Signature=', `X-Amz-Signature=${signature === '0' ? '1' : '0'}`).replace(/.$/, ''),
      url.replace('_.-', '_.x'),
      url.replace('X-Amz-Expires=60', 'X-Amz-Expires=61'),
    ]
    for (const other of tampered) {
      assert.notEqual(other, url)
      assert.equal((await fetchUrl(other)).status, 403, other)
    }
    assert.equal((await fetchUrl(url, {}, 'HEAD')).status, 403)
  })

  it('takes no URL that is over', async () => {
    const late = await openS3(server, bucket, { redirect: { urlAgeMs: 60_000 }, now: () => Date.now() - 120_000 })
    const url = (await late.signUrl?.(key)) ?? assert.fail('no URL')
    assert.equal((await fetchUrl(url)).status, 403)
    await late.close()
  })

  it('refuses a wrong secret: that is unavailable, and no absence', async () => {
    const client = createSigner('us-east-1')
    const host = new URL(server.endpoint).host
    const path = `/${bucket}/${encodePath(key)}`
    const keys = { accessKeyId: 'test', secretAccessKey: 'another' }
    const headers = client.sign({ method: 'GET', host, path }, keys, Date.now())
    assert.equal((await fetchUrl(server.endpoint + path, headers)).status, 403)
    // The clock of this machine runs away: the signature is of another day.
    let now = Date.now()
    const other = await openS3(server, bucket, { now: () => now })
    now += 7_200_000
    await assert.rejects(other.read(key), isUnavailable)
    await other.close()
  })
})
