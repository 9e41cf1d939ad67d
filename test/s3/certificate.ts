/** Certificates for tests, made anew for each: Node can sign but makes none, so their DER is written by hand. X.690 and RFC 5280, section 4.1. */
import { generateKeyPairSync, sign } from 'node:crypto'

export interface Certificate {
  /** PEM. Signed with its own key, so it is its own authority. */
  readonly cert: string
  /** PEM. */
  readonly key: string
}

export interface CertificateOptions {
  /** The only host it is for; absent: 127.0.0.1 and localhost. */
  readonly host?: string
  /** Ms since 1970; default: in an hour. */
  readonly until?: number
}

function der(tag: number, ...content: readonly Buffer[]): Buffer {
  const body = Buffer.concat(content)
  const { length } = body
  const head = length < 128 ? [length] : length < 256 ? [0x81, length] : [0x82, length >> 8, length & 0xff]
  return Buffer.concat([Buffer.from([tag, ...head]), body])
}

const sequence = (...content: readonly Buffer[]): Buffer => der(0x30, ...content)
const octets = (content: Buffer): Buffer => der(0x04, content)
const bits = (content: Buffer): Buffer => der(0x03, Buffer.from([0]), content)
const hex = (text: string): Buffer => Buffer.from(text, 'hex')

/** GeneralizedTime, RFC 5280, section 4.1.2.5.2. */
const time = (ms: number): Buffer =>
  der(0x18, Buffer.from(`${new Date(ms).toISOString().replace(/[-:T]|\.\d+Z/g, '')}Z`))

const subjectAltName = hex('0603551d11')
const basicConstraints = hex('0603551d13')
const commonName = hex('0603550403')
const ecdsaWithSha256 = sequence(hex('06082a8648ce3d040302'))
const isTrue = hex('0101ff')

export function createCertificate({ host, until = Date.now() + 3_600_000 }: CertificateOptions = {}): Certificate {
  const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const dnsName = (name: string): Buffer => der(0x82, Buffer.from(name))
  const names = host === undefined ? [der(0x87, Buffer.from([127, 0, 0, 1])), dnsName('localhost')] : [dnsName(host)]
  const name = sequence(der(0x31, sequence(commonName, der(0x0c, Buffer.from('Berth test')))))
  const extensions = sequence(
    sequence(basicConstraints, isTrue, octets(sequence(isTrue))),
    sequence(subjectAltName, octets(sequence(...names))),
  )
  const toSign = sequence(
    der(0xa0, hex('020102')),
    hex('020101'),
    ecdsaWithSha256,
    name,
    sequence(time(Date.now() - 86_400_000), time(until)),
    name,
    publicKey.export({ type: 'spki', format: 'der' }),
    der(0xa3, extensions),
  )
  const whole = sequence(toSign, ecdsaWithSha256, bits(sign('sha256', toSign, privateKey)))
  const lines = whole.toString('base64').match(/.{1,64}/g) ?? []
  return {
    cert: `-----BEGIN CERTIFICATE-----\n${lines.join('\n')}\n-----END CERTIFICATE-----\n`,
    key: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
  }
}
