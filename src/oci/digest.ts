/** Digests: `<algorithm>:<hex>`, parsed once into a branded string. Rule: image-spec v1.1, "Digests". */
import { createHash, type Hash } from 'node:crypto'
import { OciError } from './errors.ts'

/** A syntactically valid digest of an algorithm that Berth computes. */
export type Digest = string & { readonly __brand: 'Digest' }

/** The algorithms that image-spec registers and Berth computes, with the length of their hex form. */
const hexLengths = { sha256: 64, sha512: 128 } as const

export type DigestAlgorithm = keyof typeof hexLengths

/** The algorithms, for messages and tests. */
export const digestAlgorithms: readonly DigestAlgorithm[] = ['sha256', 'sha512']

function isAlgorithm(text: string): text is DigestAlgorithm {
  return text === 'sha256' || text === 'sha512'
}

/** Whether a text is a digest that Berth can hold. */
export function isDigest(text: string): text is Digest {
  const colon = text.indexOf(':')
  const algorithm = text.slice(0, Math.max(colon, 0))
  if (!isAlgorithm(algorithm) || text.length !== colon + 1 + hexLengths[algorithm]) return false
  for (let i = colon + 1; i < text.length; i++) {
    const c = text.charCodeAt(i)
    if (!((c >= 48 && c <= 57) || (c >= 97 && c <= 102))) return false
  }
  return true
}

/** Parses a digest or throws DIGEST_INVALID that says what would be right. */
export function parseDigest(text: string): Digest {
  if (isDigest(text)) return text
  throw new OciError('DIGEST_INVALID', 'a digest is sha256: with 64 or sha512: with 128 lower-case hex digits', {
    detail: { digest: text.slice(0, 200) },
  })
}

/** Parses a digest algorithm (`digest-algorithm` of an upload) or throws DIGEST_INVALID. */
export function parseAlgorithm(text: string): DigestAlgorithm {
  if (isAlgorithm(text)) return text
  throw new OciError('DIGEST_INVALID', `the digest algorithm must be one of ${digestAlgorithms.join(', ')}`, {
    detail: { algorithm: text.slice(0, 100) },
  })
}

export function algorithmOf(digest: Digest): DigestAlgorithm {
  return digest.startsWith('sha512:') ? 'sha512' : 'sha256'
}

export function hexOf(digest: Digest): string {
  return digest.slice(digest.indexOf(':') + 1)
}

export function createHasher(algorithm: DigestAlgorithm): Hash {
  return createHash(algorithm)
}

/** The digest of what a hasher has seen; the hasher can be used no more (pass a `.copy()` to go on). */
export function digestOf(algorithm: DigestAlgorithm, hasher: Hash): Digest {
  return parseDigest(`${algorithm}:${hasher.digest('hex')}`)
}

/** The digest of bytes at hand. */
export function computeDigest(algorithm: DigestAlgorithm, bytes: Uint8Array): Digest {
  return digestOf(algorithm, createHasher(algorithm).update(bytes))
}
