/** Query parameters: present once, or a refusal. Unknown ones (`ns`, `origin`, `account` …) are never looked at. */
import { OciError } from '../oci/errors.ts'
import type { HttpContext } from './context.ts'

/** The value of a parameter that may be given once; REQUEST_INVALID when it is given more than once: nobody could say which counts. */
export function queryValue(ctx: HttpContext, name: string): string | undefined {
  const value = ctx.query[name]
  if (Array.isArray(value)) throw new OciError('REQUEST_INVALID', `the parameter ${name} is given more than once`)
  return value
}

/** All values of a parameter that may be repeated, in order. */
export function queryValues(ctx: HttpContext, name: string): readonly string[] {
  const value = ctx.query[name]
  if (value === undefined) return []
  return Array.isArray(value) ? value : [value]
}
