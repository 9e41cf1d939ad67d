/** The types that every file of the HTTP layer shares: what a request carries along, and what a handler may call. */
import type { ParameterizedContext } from 'koa'
import type { Authoriser, Principal } from '../auth/policy.ts'
import type { RepositoryName } from '../oci/name.ts'
import type { Registry } from '../registry/registry.ts'
import type { Admission } from './admission.ts'
import type { RequestBody } from './body.ts'

/** Limits of the HTTP layer; the configuration has their defaults and reasons. */
export interface HttpLimits {
  /** The longest pause within a request body, and within reading an answer, in ms. */
  readonly bodyIdleTimeoutMs: number
  /** What a client sends of a body, or takes of an answer, at least: bytes a second over such a time; 0 for no limit. */
  readonly minRateBytes: number
  /** How long, and how much of, a request is still read after it was answered early, so that the client sees the answer. */
  readonly lingerMs: number
  readonly lingerBytes: number
  readonly maxManifestBytes: number
  readonly maxTagsPerPush: number
  readonly maxRanges: number
  /** Entries of a list when the client names no `n`, and at most. */
  readonly pageSize: number
  readonly maxPageSize: number
  readonly referrersPageSize: number
  /** Bytes of descriptors in one list of referrers. */
  readonly referrersPageBytes: number
}

/** What one request carries along; made by `observe`, read by the access log when the response closes. */
export interface State {
  requestId: string
  principal: Principal
  /** Who sent it; undefined when the connection is gone already. */
  address: string | undefined
  /** The route's id, or `unmatched`. */
  route: string
  repository: RepositoryName | undefined
  /** The code of the error that was answered. */
  errorCode: string | undefined
  /** The body, once a handler opened it. */
  body: RequestBody | undefined
  /** What `send` handed to the socket; undefined when the answer was small and Koa sent it. */
  sent: { readonly bytes: number; readonly whole: boolean } | undefined
}

/** Nothing is added to Koa's context beyond the state. */
export type Extra = object

export type HttpContext = ParameterizedContext<State, Extra>

/** What a handler may call. */
export interface Services {
  readonly registry: Registry
  readonly authoriser: Authoriser
  readonly admission: Admission
  readonly limits: HttpLimits
  /** Where the server in front finds the store's files, with a slash at both ends; `undefined` when Berth sends them itself. */
  readonly accelPrefix?: string | undefined
  /** Whether the client at this address may be sent to the store for the bytes of a blob, where the store signs URLs. */
  readonly mayRedirect: (address: string | undefined) => boolean
}

/** What the router has parsed from the path; `name` where the route has a repository. */
export interface Target {
  readonly name?: RepositoryName
}

export type Handler<T extends Target> = (ctx: HttpContext, target: T, services: Services) => Promise<void> | void
