/** The processes of a soak: two servers with their sweepers on one store, killed, paused and started again; and sweeps by hand. */
import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { childrenOf, isSweeper } from '../clients/children.ts'
import { freePort } from '../clients/port.ts'
import { attempt, type Daemon, startDaemon } from '../clients/process.ts'
import type { Random } from '../replicas/random.ts'
import type { SharedStore } from '../replicas/store.ts'

/** Times that let hours pass in seconds. */
export const leaseMs = 8_000
const times = {
  BERTH_REGISTRY_LEASE: `${leaseMs / 1000}s`,
  BERTH_REGISTRY_FRESH_MARK: '1s',
  BERTH_SWEEP_INTERVAL: '1s',
  BERTH_SWEEP_GARBAGE_AGE: '0s',
  BERTH_SWEEP_UPLOAD_IDLE: '4s',
  BERTH_SWEEP_PUSH_IDLE: '3s',
  BERTH_RETENTION_INTERVAL: '2s',
}

/** What Node itself prints in a worker that was being started when its primary was killed, before a line of ours runs. */
const orphanedAtBirth =
  /^node:events:\d+\n(?:(?!^Node\.js v).*\n)*?.*write EPIPE\n(?:(?!^Node\.js v).*\n)*?.*initializeClusterIPC(?:(?!^Node\.js v).*\n)*?^Node\.js v.*$/gm

/**
 * Lines that a kill explains, the last is of a worker that was about to tell its primary something when that was killed; and what a sweeper says that clients leave
 * no processor.
 */
const explained =
  /sweeper ended|the sweeper hardly gets a processor|a worker ended; it is replaced|a worker ended before it could listen: killed by|"code":"UNAVAILABLE"|write EPIPE\\n.*node:internal\/cluster\//

/** Where the memory of a process is written down. */
export type OnMemory = (kind: 'server' | 'sweeper', residentBytes: number) => void

export interface Servers {
  readonly urls: readonly string[]
  /** How often something was killed, and paused. */
  readonly counts: Readonly<Record<'killed' | 'paused', number>>
  /** Log lines of failures that no kill explains. */
  readonly complaints: () => readonly string[]
  /** The longest run of a command by hand, in ms. */
  readonly longestMs: () => number
  /** Kills or pauses a server other than the one that is spared, its sweeper, or both, and starts anew what was killed. */
  disturb(random: Random, spared: number | undefined): Promise<void>
  /** Starts a server again that has ended by itself. */
  revive(): void
  sampleMemory(onMemory: OnMemory): void
  /** Runs a command beside the servers and returns what it printed; with a time, kills it after so many ms. */
  byHand(command: 'gc' | 'retention', killAfterMs?: number): Promise<string>
  stop(): Promise<void>
}

const berth = resolve('bin/berth.js')

function residentBytesOf(pid: number): number {
  try {
    return Number(/^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? 0) * 1024
  } catch {
    return 0
  }
}

function signal(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name)
  } catch {
    // It has ended already.
  }
}

export async function startServers(store: Pick<SharedStore, 'env'>, rules: readonly object[]): Promise<Servers> {
  const environment = {
    ...times,
    ...store.env,
    BERTH_RETENTION_RULES: JSON.stringify(rules),
    BERTH_LOG_LEVEL: 'warn',
    BERTH_LOG_FORMAT: 'json',
  }
  const ports = [await freePort(), await freePort()]
  const complaints: string[] = []
  let longestMs = 0
  const counts = { killed: 0, paused: 0 }
  const start = (port: number): Daemon =>
    startDaemon(process.execPath, [berth, 'serve'], {
      env: { ...environment, BERTH_HTTP_PORT: String(port), BERTH_PULSE_PORT: '0' },
    })
  const daemons = ports.map(start)

  /** Ports of servers that are being killed. */
  const down = new Set<number>()

  function hear({ output }: Daemon): void {
    const lines = output().replace(orphanedAtBirth, '').split('\n')
    complaints.push(...lines.filter((line) => line !== '' && !explained.test(line)))
  }

  async function killServer(index: number, port: number, daemon: Daemon, sweepers: readonly number[]): Promise<void> {
    down.add(port)
    daemon.kill('SIGKILL')
    for (const pid of sweepers) signal(pid, 'SIGKILL')
    await daemon.stop()
    hear(daemon)
    daemons[index] = start(port)
    down.delete(port)
    counts.killed++
  }

  /** As a service manager does: a server whose worker is killed before it listens ends, and says so. */
  function revive(): void {
    for (const [index, daemon] of daemons.entries()) {
      const port = ports[index]
      if (port === undefined || down.has(port) || !daemon.hasExited()) continue
      if (daemon.output() === '') complaints.push('a server ended without a word')
      hear(daemon)
      daemons[index] = start(port)
    }
  }

  async function pause(pid: number, ms: number): Promise<void> {
    signal(pid, 'SIGSTOP')
    counts.paused++
    await sleep(ms)
    signal(pid, 'SIGCONT')
  }

  async function disturb(random: Random, spared: number | undefined): Promise<void> {
    const index = spared === undefined ? random.below(2) : 1 - spared
    const [port, daemon] = [ports[index], daemons[index]]
    if (port === undefined || daemon === undefined) return
    const children = childrenOf(daemon.pid)
    const sweepers = children.filter(isSweeper)
    const workers = children.filter((pid) => !isSweeper(pid))
    const what = random.below(13)
    // Longer than a lease: whatever the process was about to do, it does it in another world.
    const pauseMs = leaseMs / 2 + random.below(leaseMs)
    if (what < 7) return killServer(index, port, daemon, children)
    if (what < 9) return killServer(index, port, daemon, [])
    const [victim] = what < 11 ? sweepers : workers
    // It has not started one yet.
    if (victim === undefined) return killServer(index, port, daemon, children)
    if (what === 9 || what === 12) {
      signal(victim, 'SIGKILL')
      counts.killed++
    } else await pause(victim, pauseMs)
  }

  return {
    urls: ports.map((port) => `http://127.0.0.1:${port}`),
    counts,
    complaints: () => complaints,
    longestMs: () => longestMs,
    disturb,
    revive,
    sampleMemory(onMemory) {
      for (const { pid } of daemons) {
        onMemory('server', residentBytesOf(pid))
        for (const child of childrenOf(pid)) onMemory(isSweeper(child) ? 'sweeper' : 'server', residentBytesOf(child))
      }
    },
    async byHand(command, killAfterMs) {
      if (killAfterMs !== undefined) {
        const daemon = startDaemon(process.execPath, [berth, command], { env: environment })
        await sleep(killAfterMs)
        daemon.kill('SIGKILL')
        await daemon.stop()
        return ''
      }
      const began = performance.now()
      // At its low priority it waits for servers, clients and whatever else the machine does.
      const options = { env: environment, timeoutMs: 600_000 }
      const { code, stdout, stderr } = await attempt(process.execPath, [berth, command], options)
      longestMs = Math.max(longestMs, performance.now() - began)
      if (code !== 0) complaints.push(`berth ${command}: ${stderr}`)
      return stdout.toString()
    },
    async stop() {
      await Promise.all(daemons.map((daemon) => daemon.stop()))
      for (const daemon of daemons) hear(daemon)
    },
  }
}
