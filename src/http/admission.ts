/** How many request bodies may arrive at once, and how much memory those may take that are held whole. What is beyond is refused before it is read. */
import type { IncomingMessage } from 'node:http'
import { OciError } from '../oci/errors.ts'
import { announcedLength, hasBody } from './body.ts'

export interface AdmissionLimits {
  readonly maxUploads: number
  readonly manifestBytes: number
  readonly maxManifestBytes: number
}

/** What is counted of bodies. */
export interface BodyMetrics {
  startBody(): void
  endBody(): void
}

/** `stream`: it goes to the store as it comes. `whole`: it is held in memory. */
export type BodyKind = 'stream' | 'whole'

export interface Admission {
  /** Runs `work` when there is room for the body of a request, or it has none; else throws TOOMANYREQUESTS. */
  admit(request: IncomingMessage, kind: BodyKind, work: () => Promise<void> | void): Promise<void>
}

export function createAdmission(limits: AdmissionLimits, metrics: BodyMetrics): Admission {
  let bodies = 0
  let heldBytes = 0
  return {
    async admit(request, kind, work) {
      if (!hasBody(request)) return work()
      // One of unknown length may become as long as it is allowed to.
      const length = kind === 'whole' ? (announcedLength(request) ?? limits.maxManifestBytes) : 0
      const bytes = Math.min(length, limits.maxManifestBytes)
      if (bodies >= limits.maxUploads) throw new OciError('TOOMANYREQUESTS', 'too many uploads run at the moment')
      if (heldBytes + bytes > limits.manifestBytes) {
        throw new OciError('TOOMANYREQUESTS', 'too many manifests are pushed at the moment')
      }
      bodies++
      heldBytes += bytes
      metrics.startBody()
      try {
        await work()
      } finally {
        bodies--
        heldBytes -= bytes
        metrics.endBody()
      }
    },
  }
}
