/** Pulls at a fixed rate, whatever the answers take (an open loop): what is measured is what a client waits, also for those before it. */
import { Agent, request } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'

export interface Latency {
  /** ms. */
  readonly p50: number
  readonly p99: number
}

const perSecond = 200

function pull(agent: Agent, url: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const pulled = request(url, { agent }, (response) => {
      response.resume()
      response.once('end', () =>
        response.statusCode === 200 ? resolve() : reject(new Error(`${url}: ${response.statusCode}`)),
      )
    })
    pulled.once('error', reject)
    pulled.end()
  })
}

/** Pulls manifests by tag from all over the store for so many seconds. */
export async function measurePulls(base: string, repositories: readonly string[], seconds: number): Promise<Latency> {
  const agent = new Agent({ keepAlive: true, maxSockets: 16 })
  const latencies: number[] = []
  const pulls: Promise<void>[] = []
  const start = performance.now()
  for (let i = 0; i < seconds * perSecond; i++) {
    const due = start + (i * 1000) / perSecond
    const waitMs = due - performance.now()
    if (waitMs > 0) await sleep(waitMs)
    const url = `${base}/v2/${repositories[(i * 7919) % repositories.length]}/manifests/v${(i * 104_729) % 100}`
    // A timer may come a little early.
    const since = Math.min(due, performance.now())
    pulls.push(pull(agent, url).then(() => void latencies.push(performance.now() - since)))
  }
  await Promise.all(pulls)
  agent.destroy()
  latencies.sort((a, b) => a - b)
  const at = (share: number): number => latencies[Math.floor(latencies.length * share)] ?? 0
  return { p50: at(0.5), p99: at(0.99) }
}
