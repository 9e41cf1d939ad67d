/** What a bucket has to be tried for beside the promises of every driver: copies, multipart uploads, conditions of a delete, signed URLs, its own settings. */
import { createHash } from 'node:crypto'
import { Agent, request } from 'undici'
import { failed, notTried, ok, type Answer, type Scratch, type Step, type StoreProbe, warning } from '../probe/step.ts'
import { type Body, type Bucket, type Multipart, type MultipartPage, openBucket } from './bucket.ts'
import { trustedCertificates } from './client.ts'
import { isAbsent, isRefused, S3Error } from './errors.ts'
import type { S3Options } from './options.ts'
import { removesExactly } from './store.ts'

interface Probed {
  readonly bucket: Bucket
  readonly options: S3Options
  /** The key in the bucket. */
  readonly objectOf: (key: string) => string
}

export async function openS3Probe(options: S3Options): Promise<StoreProbe> {
  const bucket = await openBucket(options)
  const probed = { bucket, options, objectOf: (key: string) => options.prefix + key }
  return {
    steps: stepsOf(probed),
    partBytes: options.partBytes,
    cleanUp: (prefix) => abortAll(probed, prefix),
    close: () => bucket.close(),
  }
}

function stepsOf(probed: Probed): readonly Step[] {
  const step = (
    name: string,
    weight: Step['weight'],
    run: (probed: Probed, scratch: Scratch) => Promise<Answer>,
  ): Step => ({
    name,
    weight,
    run: (scratch) => run(probed, scratch),
  })
  return [
    step('copy', 'needed', tryCopy),
    step('multipart upload that is aborted', 'needed', tryAbort),
    step('delete with a condition', 'needed', tryConditionalDelete),
    step('signed URL', probed.options.redirect === undefined ? 'wished' : 'needed', trySignedUrl),
    step('versioning', 'wished', lookAtVersioning),
    step('object lock', 'wished', lookAtLock),
  ]
}

const value = Buffer.from('0123456789')

function bodyOf(bytes: Buffer): Body {
  return { size: bytes.length, pieces: [bytes], sha256: createHash('sha256').update(bytes).digest('hex') }
}

/** Writes the small value and returns its object. */
async function putValue({ bucket, objectOf }: Probed, { key, createId }: Scratch): Promise<string> {
  const object = objectOf(key())
  await bucket.put(object, bodyOf(value), { writer: createId(), content: 'record' })
  return object
}

async function tryCopy(probed: Probed, scratch: Scratch): Promise<Answer> {
  const { bucket, objectOf } = probed
  const from = await putValue(probed, scratch)
  const to = objectOf(scratch.key())
  await bucket.copy(from, to, {})
  const [first, second] = [await bucket.head(from, {}), await bucket.head(to, {})]
  if (second.size !== first.size) return failed('the copy has another size')
  if (first.writer === undefined) return failed('the store does not keep the metadata of an object')
  if (second.writer !== first.writer) return failed('the copy has not the metadata of what was copied')
  return ok('it has the bytes and the metadata')
}

async function tryAbort({ bucket, objectOf }: Probed, { key, prefix, createId }: Scratch): Promise<Answer> {
  const object = objectOf(key())
  const upload = await bucket.startMultipart(object, { writer: createId() })
  let isListed = false
  try {
    await bucket.sendPart(upload, 1, bodyOf(value), {})
    // By the beginning of its key, as the sweep looks for such uploads: MinIO lists them by their whole key only.
    isListed = (await listUploads(bucket, objectOf(prefix))).includes(upload.id)
  } finally {
    await bucket.abort(upload, {})
  }
  if ((await listUploads(bucket, object)).includes(upload.id)) return failed('it is still listed')
  if (await isThere(bucket, object)) return failed('an object is there')
  if (isListed) return ok('listed, and nothing stays')
  return warning(
    'nothing stays, but it was not listed: the sweep finds none that a killed process left, so the store must end them',
  )
}

async function listUploads(bucket: Bucket, prefix: string): Promise<string[]> {
  const ids: string[] = []
  for await (const { id } of eachUpload(bucket, prefix)) ids.push(id)
  return ids
}

async function* eachUpload(bucket: Bucket, prefix: string): AsyncGenerator<Multipart> {
  let after: Multipart | undefined
  do {
    const page: MultipartPage = await bucket.listMultiparts(prefix, { after })
    yield* page.uploads
    after = page.next
  } while (after !== undefined)
}

async function isThere(bucket: Bucket, object: string): Promise<boolean> {
  try {
    await bucket.head(object, {})
    return true
  } catch (error) {
    if (error instanceof S3Error && isAbsent(error)) return false
    throw error
  }
}

/** What is in the way of the clean-up: the uploads that a step began and could not end. */
async function abortAll({ bucket, objectOf }: Probed, prefix: string): Promise<number> {
  for await (const upload of eachUpload(bucket, objectOf(prefix))) await bucket.abort(upload, {})
  return (await listUploads(bucket, objectOf(prefix))).length
}

/** How a store takes a delete whose ETag is not that of the object. */
async function deleteWrongly({ bucket }: Probed, object: string): Promise<'refused' | 'ignored' | 'unknown'> {
  try {
    await bucket.remove(object, { etag: '"00000000000000000000000000000000"' })
  } catch (error) {
    if (!(error instanceof S3Error) || error.status === undefined) throw error
    return isRefused(error) ? 'refused' : 'unknown'
  }
  return (await isThere(bucket, object)) ? 'unknown' : 'ignored'
}

const deletes = {
  refused: 'a wrong ETag is refused',
  ignored: 'the store ignores the ETag and deletes',
  unknown: 'the store does not know it',
} as const

async function tryConditionalDelete(probed: Probed, scratch: Scratch): Promise<Answer> {
  const { conditionalDelete } = probed.options
  const object = await putValue(probed, scratch)
  const found = await deleteWrongly(probed, object)
  if (!removesExactly(probed.options, probed.bucket))
    return ok(`not relied on (${conditionalDelete}); ${deletes[found]}`)
  if (found !== 'refused') return failed(`${deletes[found]}: set storage.s3.conditionalDelete to none`)
  const { etag } = await probed.bucket.head(object, {})
  await probed.bucket.remove(object, { etag })
  if (await isThere(probed.bucket, object)) return failed('the right ETag deletes nothing')
  return ok(`relied on (${conditionalDelete}); ${deletes[found]}; whether also in a race, no probe can tell`)
}

async function trySignedUrl(probed: Probed, scratch: Scratch): Promise<Answer> {
  const { bucket, options } = probed
  const url = await bucket.presign(await putValue(probed, scratch), { fromMs: options.now(), seconds: 300 })
  const ca = trustedCertificates(options)
  const dispatcher = new Agent({ connect: { timeout: options.connectTimeoutMs, ...(ca === undefined ? {} : { ca }) } })
  const get = async (headers: Record<string, string>): Promise<string> => {
    const { statusCode, body } = await request(url, { dispatcher, headers, headersTimeout: options.socketTimeoutMs })
    const text = await body.text()
    return `${statusCode} ${text.length > 100 ? (/<Code>(\w+)<\/Code>/.exec(text)?.[1] ?? '') : text}`
  }
  const isUsed =
    options.redirect === undefined ? 'not relied on (storage.s3.redirect is off)' : 'clients are sent to it'
  try {
    const whole = await get({})
    if (whole !== `200 ${value.toString()}`) return failed(`the store answers ${whole} to it; ${isUsed}`)
    const part = await get({ range: 'bytes=2-5' })
    if (part !== '206 2345') return failed(`the store answers ${part} to it with a Range; ${isUsed}`)
    return ok(`whole and a range of it at ${new URL(url).host}; ${isUsed}`)
  } finally {
    await dispatcher.close()
  }
}

/** A store that does not say something of itself is not worse for that. */
async function lookAt(look: () => Promise<Answer>): Promise<Answer> {
  try {
    return await look()
  } catch (error) {
    if (!(error instanceof S3Error)) throw error
    return notTried(`the store does not say (${error.code})`)
  }
}

function lookAtVersioning({ bucket }: Probed): Promise<Answer> {
  return lookAt(async () =>
    (await bucket.keepsVersions({}))
      ? warning('it is on: deletes free nothing without a lifecycle rule that removes old versions')
      : ok('it is off'),
  )
}

function lookAtLock({ bucket }: Probed): Promise<Answer> {
  return lookAt(async () => {
    const time = await bucket.locksFor({})
    if (time === undefined) return ok('there is none')
    return warning(`every object is kept for ${time}: deletes free nothing before that`)
  })
}
