/** Who may do what. The seam for users, tokens and robots: today there is one principal and one answer. It must not know HTTP. */
import type { RepositoryName } from '../oci/name.ts'

/** What a route needs the right to; `none` needs none, but the policy is asked all the same. */
export type Action = 'pull' | 'push' | 'delete' | 'catalog' | 'none'

/** Who asks. */
export interface Principal {
  readonly kind: 'anonymous'
  /** How the log and the records call it. */
  readonly name: string
}

export const anonymous: Principal = { kind: 'anonymous', name: 'anonymous' }

/** Decides. It is asked before anything is read or written for a request, and for every repository a blob could be mounted from. */
export interface Authoriser {
  may(
    principal: Principal,
    action: Action,
    repository: RepositoryName | undefined,
  ): Promise<'allowed' | 'denied' | 'unauthenticated'> | 'allowed' | 'denied' | 'unauthenticated'
}

/** Everybody may do everything: what a registry without users is. */
export function allowAll(): Authoriser {
  return { may: () => 'allowed' }
}
