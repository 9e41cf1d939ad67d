/**
 * Memory when many transfer at once: 64 uploads and 64 downloads of 256 MiB side by side, and the most that all processes of Berth had in
 * memory meanwhile. `npm run bench:crowd`, or with another number of each behind `--`; it writes 16 GiB and reads as much.
 */
import { randomBytes } from 'node:crypto'
import { Agent, request } from 'node:http'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { digestOf } from '../clients/layout.ts'
import { startBerth } from '../clients/berth.ts'
import { readMemory, watchMemory } from './memory.ts'

const transfers = Number(process.argv[2] ?? 64)
const mebibyte = 1024 * 1024
const mebibytes = 256

/** The figure that P5 is held to: peak of all processes, in MiB. */
const limitMebibytes = 450

const piece = randomBytes(mebibyte)
const digest = digestOf(Buffer.concat(Array.from({ length: mebibytes }, () => piece)))
const agent = new Agent({ maxSockets: Infinity })

function* pieces(): Generator<Buffer> {
  for (let i = 0; i < mebibytes; i++) yield piece
}

async function push(url: string, repository: string): Promise<void> {
  const headers = { 'Content-Length': mebibytes * mebibyte }
  const path = `/v2/${repository}/blobs/uploads/?digest=${digest}`
  const outgoing = request(url + path, { agent, method: 'POST', headers })
  const answered = new Promise<number>((resolve, reject) => {
    outgoing.on('error', reject).on('response', (response) => {
      response.resume()
      resolve(response.statusCode ?? 0)
    })
  })
  await pipeline(Readable.from(pieces()), outgoing)
  const status = await answered
  if (status !== 201) throw new Error(`a push was answered ${status}`)
}

async function pull(url: string, repository: string): Promise<void> {
  let bytes = 0
  await new Promise((resolve, reject) => {
    const outgoing = request(`${url}/v2/${repository}/blobs/${digest}`, { agent }, (response) => {
      response.on('data', (chunk: Buffer) => (bytes += chunk.length))
      response.on('end', resolve).on('error', reject)
    })
    outgoing.on('error', reject).end()
  })
  if (bytes !== mebibytes * mebibyte) throw new Error(`a pull had ${bytes} bytes`)
}

const berth = await startBerth({ env: { BERTH_LOG_LEVEL: 'warn' } })
try {
  await push(berth.url, 'crowd/pulled')
  const idle = (await readMemory(berth.pid)).map((one) => Math.round(one / mebibyte))
  const stop = watchMemory(berth.pid, 50)
  const began = performance.now()
  await Promise.all(
    Array.from({ length: transfers }, (_, i) => [
      push(berth.url, `crowd/pushed-${i}`),
      pull(berth.url, 'crowd/pulled'),
    ]).flat(),
  )
  const seconds = (performance.now() - began) / 1000
  const { bytes, each } = await stop()
  const [total, ...parts] = [bytes, ...each].map((one) => Math.round(one / mebibyte))
  console.log(
    `${transfers} uploads and ${transfers} downloads of ${mebibytes} MiB at once, in ${seconds.toFixed(1)} s:`,
  )
  console.log(
    `at most ${total} MiB in memory (${parts.join(' + ')}), ${idle.join(' + ')} before; the limit is ${limitMebibytes} MiB`,
  )
  if (bytes > limitMebibytes * mebibyte) process.exitCode = 1
} finally {
  agent.destroy()
  await berth.stop()
}
