/** A server on a shared store that can be killed, as when its machine dies, and comes back on its ports. */
import { resolve } from 'node:path'
import { childrenOf } from '../clients/children.ts'
import { freePort } from '../clients/port.ts'
import { type Daemon, startDaemon, waitUntilReady } from '../clients/process.ts'

export interface Replica {
  readonly url: string
  /** `http://127.0.0.1:<port>` of `/readyz`. */
  readonly pulse: string
  readonly pid: () => number
  /** Everything it has printed since it was started last. */
  readonly output: () => string
  /** SIGKILL to all of its processes, and a new start; resolves when it is ready. */
  killAndStart(): Promise<void>
  stop(): Promise<void>
}

export async function startReplica(settings: Readonly<Record<string, string>>): Promise<Replica> {
  const [port, pulsePort] = [await freePort(), await freePort()]
  const env = { ...settings, BERTH_HTTP_PORT: String(port), BERTH_PULSE_PORT: String(pulsePort) }
  const [url, pulse] = [`http://127.0.0.1:${port}`, `http://127.0.0.1:${pulsePort}`]
  let daemon: Daemon
  const start = async (): Promise<void> => {
    daemon = startDaemon(process.execPath, [resolve('bin/berth.js'), 'serve'], { env })
    await waitUntilReady('Berth', daemon, async () => (await fetch(`${pulse}/readyz`)).ok)
  }
  await start()
  return {
    url,
    pulse,
    pid: () => daemon.pid,
    output: () => daemon.output(),
    async killAndStart() {
      const children = childrenOf(daemon.pid)
      daemon.kill('SIGKILL')
      for (const pid of children) killNow(pid)
      await daemon.stop()
      await start()
    },
    stop: () => daemon.stop(),
  }
}

function killNow(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL')
  } catch {
    // It has ended already.
  }
}
