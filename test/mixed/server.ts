/** Berth as it starts by default, with its log read but for the lines of requests, and with times that let hours of the sweep pass in seconds. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { createInterface } from 'node:readline'

/** A blob that was just pushed is named by a manifest within half of it, however busy the machine is. */
export const leaseMs = 20_000

const times = {
  BERTH_REGISTRY_LEASE: `${leaseMs / 1000}s`,
  BERTH_REGISTRY_FRESH_MARK: '1s',
  BERTH_SWEEP_INTERVAL: '2s',
  BERTH_SWEEP_GARBAGE_AGE: '0s',
  BERTH_SWEEP_UPLOAD_IDLE: '5s',
  BERTH_SWEEP_PUSH_IDLE: '5s',
}

/** What a machine that is busy with other things does to a sweeper; it is no fault, and not what is measured. */
const starved = '"message":"the sweeper hardly gets a processor'

export interface Server {
  readonly pid: number
  readonly url: string
  /** Lines of its log that say something is wrong. */
  readonly complaints: readonly string[]
  readonly stop: () => Promise<void>
}

export async function startServer(folder: string): Promise<Server> {
  const child = spawn(process.execPath, [join(import.meta.dirname, '../../bin/berth.js'), 'serve'], {
    env: {
      ...process.env,
      ...times,
      BERTH_STORAGE_FILESYSTEM_ROOT: folder,
      BERTH_HTTP_PORT: '0',
      BERTH_PULSE_PORT: '0',
      BERTH_LOG_FORMAT: 'json',
    },
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const ended = once(child, 'close')
  const killAtExit = (): boolean => child.kill('SIGKILL')
  process.once('exit', killAtExit)
  const complaints: string[] = []
  const listening = Promise.withResolvers<string>()
  createInterface(child.stdout).on('line', (line) => {
    if (line.includes('"message":"request"') || line.includes(starved)) return
    const [, port] = /"message":"Berth listens".*?"port":(\d+)/.exec(line) ?? []
    if (port !== undefined) listening.resolve(`http://127.0.0.1:${port}`)
    else if (/"level":"(warn|error)"/.test(line)) complaints.push(line)
  })
  void ended.then(() => listening.reject(new Error('Berth ended')))
  return {
    pid: child.pid ?? 0,
    url: await listening.promise,
    complaints,
    stop: async () => {
      child.kill('SIGTERM')
      await ended
      process.removeListener('exit', killAtExit)
    },
  }
}
