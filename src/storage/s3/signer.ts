/**
 * Signs requests as S3 wants them, for the few calls where the SDK's way is too long: with the headers, or in the URL. AWS Signature Version 4,
 * "Authenticating Requests (AWS Signature Version 4)". It sends nothing.
 */
import { createHash, createHmac } from 'node:crypto'

export interface SigningKeys {
  readonly accessKeyId: string
  readonly secretAccessKey: string
  readonly sessionToken?: string | undefined
}

export interface ToSign {
  readonly method: 'GET' | 'HEAD'
  /** As in the `Host` header, with a port that is not the usual one. */
  readonly host: string
  /** Encoded by `encodePath`. */
  readonly path: string
  /** Signed beside the host; names in small letters. */
  readonly headers?: Readonly<Record<string, string>>
}

export interface Signer {
  /** The headers to send, those of the request among them. */
  sign(request: ToSign, keys: SigningKeys, nowMs: number): Record<string, string>
  /** Path and query of a URL that is good for so many seconds. */
  presign(request: ToSign, keys: SigningKeys, nowMs: number, seconds: number): string
}

/** The SHA-256 of no bytes: what a request without a body has. */
const emptyHash = 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855'

/** Like `encodeURIComponent`, and what that leaves alone. RFC 3986, section 2.3. */
export function encodeText(text: string): string {
  return encodeURIComponent(text).replace(/[!'()*]/g, (found) => `%${found.charCodeAt(0).toString(16).toUpperCase()}`)
}

/** A key as the path of a URL. */
export function encodePath(key: string): string {
  return key.split('/').map(encodeText).join('/')
}

function hmac(key: string | Buffer, text: string): Buffer {
  return createHmac('sha256', key).update(text).digest()
}

function sha256(text: string): string {
  return createHash('sha256').update(text).digest('hex')
}

/** `20261130T104507Z`. */
function formatTime(nowMs: number): string {
  return new Date(nowMs).toISOString().replace(/[-:]|\.\d+/g, '')
}

/** A signer for one region. It keeps the key of the day. */
export function createSigner(region: string): Signer {
  let kept: { readonly of: string; readonly key: Buffer } | undefined

  function keyOf({ secretAccessKey }: SigningKeys, day: string): Buffer {
    const of = `${day} ${secretAccessKey}`
    if (kept?.of !== of) {
      const key = hmac(hmac(hmac(hmac(`AWS4${secretAccessKey}`, day), region), 's3'), 'aws4_request')
      kept = { of, key }
    }
    return kept.key
  }

  function signatureOf(canonical: string, keys: SigningKeys, time: string, scope: string): string {
    const text = `AWS4-HMAC-SHA256\n${time}\n${scope}\n${sha256(canonical)}`
    return hmac(keyOf(keys, time.slice(0, 8)), text).toString('hex')
  }

  return {
    sign({ method, host, path, headers = {} }, keys, nowMs) {
      const time = formatTime(nowMs)
      const scope = `${time.slice(0, 8)}/${region}/s3/aws4_request`
      const all: Record<string, string> = { ...headers, host, 'x-amz-content-sha256': emptyHash, 'x-amz-date': time }
      if (keys.sessionToken !== undefined) all['x-amz-security-token'] = keys.sessionToken
      const names = Object.keys(all).sort()
      const lines = names.map((name) => `${name}:${all[name]}\n`).join('')
      const signed = names.join(';')
      const canonical = `${method}\n${path}\n\n${lines}\n${signed}\n${emptyHash}`
      const signature = signatureOf(canonical, keys, time, scope)
      const credential = `${keys.accessKeyId}/${scope}`
      all['authorization'] =
        `AWS4-HMAC-SHA256 Credential=${credential}, SignedHeaders=${signed}, Signature=${signature}`
      return all
    },

    presign({ method, host, path }, keys, nowMs, seconds) {
      const time = formatTime(nowMs)
      const scope = `${time.slice(0, 8)}/${region}/s3/aws4_request`
      const query: Record<string, string> = {
        'X-Amz-Algorithm': 'AWS4-HMAC-SHA256',
        'X-Amz-Credential': `${keys.accessKeyId}/${scope}`,
        'X-Amz-Date': time,
        'X-Amz-Expires': String(seconds),
        'X-Amz-SignedHeaders': 'host',
      }
      if (keys.sessionToken !== undefined) query['X-Amz-Security-Token'] = keys.sessionToken
      const text = Object.keys(query)
        .sort()
        .map((name) => `${name}=${encodeText(query[name] ?? '')}`)
        .join('&')
      const canonical = `${method}\n${path}\n${text}\nhost:${host}\n\nhost\nUNSIGNED-PAYLOAD`
      return `${path}?${text}&X-Amz-Signature=${signatureOf(canonical, keys, time, scope)}`
    },
  }
}
