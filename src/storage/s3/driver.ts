/** The driver that keeps everything in a bucket, shared by any number of processes. Puts the parts together; each part has its own file. */
import { setTimeout as sleep } from 'node:timers/promises'
import { checkCalls } from '../checked.ts'
import type { Driver } from '../driver.ts'
import { createKeyRules } from '../keys.ts'
import { type Bucket, openBucket } from './bucket.ts'
import { createBudget } from './budget.ts'
import { promoteValue, removeValue, writeValue } from './changes.ts'
import { translateError } from './errors.ts'
import { listKeys } from './listing.ts'
import type { S3Options } from './options.ts'
import { describeFailure, prepareBucket } from './prepare.ts'
import { createRetry } from './retry.ts'
import { isAws, removesExactly, type S3Store } from './store.ts'
import { tidyMultiparts } from './tidy.ts'
import { createUrlSigner } from './urls.ts'
import { openValue, readValue, statValue } from './values.ts'
import { createWriter } from './writer.ts'

/** Opens a bucket. Rejects with one sentence for the operator when it cannot be used. */
export async function createS3Driver(options: S3Options): Promise<Driver> {
  const rules = createKeyRules(options.keySpace)
  const bucket = await openBucket(options).catch((error: unknown) => Promise.reject(describeFailure(error, options)))
  const store = createStore(options, bucket)
  try {
    await prepareBucket(bucket, store.retry, options)
    if (options.endpoint === undefined && !isAws(bucket.origin))
      options.warn?.(`the AWS SDK was told another endpoint than AWS, ${bucket.origin}: say it in storage.s3.endpoint`)
  } catch (error) {
    await bucket.close()
    throw error
  }
  const signUrl = options.redirect && createUrlSigner(store, options.redirect, options)
  return checkCalls({ ...assemble(store), signUrl }, rules)
}

function createStore(options: S3Options, bucket: Bucket): S3Store {
  const { prefix, random = Math.random, maxAttempts } = options
  return {
    bucket,
    retry: createRetry({
      maxAttempts,
      random,
      sleep: options.sleep ?? ((ms, signal) => sleep(ms, undefined, { signal })),
    }),
    createId: options.createId,
    objectOf: (key) => prefix + key,
    keyOf: (object) => object.slice(prefix.length),
    budget: createBudget(options.bufferBytes),
    partBytes: options.partBytes,
    uploadConcurrency: options.uploadConcurrency,
    maxValueBytes: options.maxValueBytes ?? 16 * 1024 * 1024,
    isEncrypted: bucket.origin.startsWith('https:'),
    removesExactly: removesExactly(options, bucket),
    multipartAgeMs: options.multipartAgeMs,
  }
}

/** Runs `action`, turning what the store said into a StorageError; `doing` completes the sentence "… failed". */
async function translate<T>(doing: string, action: () => Promise<T>): Promise<T> {
  try {
    return await action()
  } catch (error) {
    throw translateError(doing, error)
  }
}

function assemble(store: S3Store): Driver {
  return {
    promotion: 'copy',
    removal: store.removesExactly ? 'exact' : 'looks first',
    read: (key, options = {}) => translate(`reading ${key}`, () => readValue(store, key, options)),
    stat: (key, options = {}) => translate(`reading ${key}`, () => statValue(store, key, options)),
    open: (key, range, options = {}) => translate(`reading ${key}`, () => openValue(store, key, range, options)),
    write: (key, bytes, options = {}) => translate(`writing ${key}`, () => writeValue(store, key, bytes, options)),
    writeStream: async (key, options = {}) => createWriter(store, key, options),
    promote: (entry, record, options = {}) =>
      translate(`promoting ${entry} to ${record}`, () => promoteValue(store, entry, record, options)),
    remove: (key, options = {}) => translate(`removing ${key}`, () => removeValue(store, key, options)),
    list: (prefix, options) => translate(`listing ${prefix}`, () => listKeys(store, prefix, options)),
    // Everything that is answered survives.
    settle: () => Promise.resolve(),
    tidy: (options = {}) => translate('tidying', () => tidyMultiparts(store, options)),
    close: () => store.bucket.close(),
  }
}
