/** Keeps secrets out of the log: what a field is called, and what a text looks like, tell them. Whoever logs need not think of it. */

/** Stands where a secret was. */
export const hidden = '(secret)'

const secretName = /authorization|cookie|passw|secret|token|credential|signature|^_?state$/i

/** Whether a field of this name holds a secret, whatever its value. */
export function isSecretName(name: string): boolean {
  return secretName.test(name)
}

/** Only a text that has one of these can hold a secret: nearly none does, so this is all that is looked for in most. */
const suspicious = /bearer |basic |:\/\/|[?&;][^=\s]*=|eyJ/i

const patterns: readonly (readonly [RegExp, string])[] = [
  // RFC 7235 §2.1: a scheme and its credentials.
  [/\b(bearer|basic) +[\w.~+/-]+=*/gi, `$1 ${hidden}`],
  // RFC 3986 §3.2.1: the user information of a URL.
  [/(:\/\/)[^/\s?#@]*@/g, `$1${hidden}@`],
  // Parameters that let whoever has the URL in, or continue an upload; those of signed URLs, too.
  [
    /([?&;](?:[\w.%-]*(?:token|passw|secret|credential|signature|accesskey)[\w.%-]*|sig|code|_?state)=)[^&;\s"'#]*/gi,
    `$1${hidden}`,
  ],
  // RFC 7519: a token by itself.
  [/\beyJ[\w-]{5,}\.[\w-]+\.[\w-]*/g, hidden],
]

/** The text with its secrets hidden. */
export function redact(text: string): string {
  if (!suspicious.test(text)) return text
  return patterns.reduce((rest, [pattern, replacement]) => rest.replace(pattern, replacement), text)
}
