/** Who asks, and whether they may: the seam between requests and `auth`. Nothing is read or written for a request before `authorise` returned. */
import { type Action, anonymous, type Authoriser, type Principal } from '../auth/policy.ts'
import type { RepositoryName } from '../oci/name.ts'
import { OciError } from '../oci/errors.ts'
import type { HttpContext } from './context.ts'

/** The principal of a request. There are no credentials yet: everybody is anonymous. */
export function authenticate(_ctx: HttpContext): Principal {
  return anonymous
}

/** Returns when the principal may; throws UNAUTHORIZED or DENIED. */
export async function authorise(
  authoriser: Authoriser,
  principal: Principal,
  action: Action,
  repository: RepositoryName | undefined,
): Promise<void> {
  const answer = authoriser.may(principal, action, repository)
  const verdict = typeof answer === 'string' ? answer : await answer
  switch (verdict) {
    case 'allowed':
      return
    case 'unauthenticated':
      throw new OciError('UNAUTHORIZED', 'credentials are needed', { detail: { action, repository } })
    case 'denied':
      throw new OciError('DENIED', `${principal.name} may not ${action} here`, { detail: { action, repository } })
  }
}

/** Whether the principal may pull from a repository, as an answer instead of a refusal. */
export async function mayPull(
  authoriser: Authoriser,
  principal: Principal,
  repository: RepositoryName,
): Promise<boolean> {
  return (await authoriser.may(principal, 'pull', repository)) === 'allowed'
}
