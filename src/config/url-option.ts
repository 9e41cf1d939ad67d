/** A kind of option that is the address of a service: scheme, host and port. */
import { type Form, optionalText } from './option.ts'

/** What `URL` would repair, or drop, is no origin: blanks, backslashes, user info, a path, a query. */
const origin = /^https?:\/\/[^\s\\/?#@]+\/?$/i

const form: Form = {
  parse: (written) => (origin.test(written) ? URL.parse(written)?.origin : undefined),
  expected:
    'http:// or https:// with a host, and a port where it has another; no path, no user, like https://s3.example:9000',
}

/** A URL without path, query and user info, or nothing; the value is as `URL` writes an origin: in lower case, without a slash at its end. */
export function url(words: { readonly reason: string }) {
  return optionalText({ ...words, kind: 'url', form })
}
