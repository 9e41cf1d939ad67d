/** The load generator: a process of its own that does one job after the other, and measures each from the first request to the last answer. */
import * as v from 'valibot'
import { quantile } from '../statistics.ts'
import { openConnection } from './connection.ts'
import { prepare } from './flows.ts'
import { type Done, type Job, jobSchema, type Reply } from './jobs.ts'

async function doJob({ port, connections, until, flow }: Job): Promise<Done> {
  const opened = await Promise.all(Array.from({ length: connections }, () => openConnection(port)))
  const first = opened.map((connection) => prepare(flow, connection))
  const latencies: number[] = []
  const cpu = process.cpuUsage()
  const began = performance.now()
  const goesOn = (done: number): boolean =>
    until.kind === 'times' ? done < until.times : performance.now() - began < until.ms
  await Promise.all(
    opened.map(async (connection, i) => {
      let next = first[i]
      for (let done = 0; next !== undefined; next = goesOn(done) ? prepare(flow, connection) : undefined) {
        const startedAt = performance.now()
        await next()
        latencies.push(performance.now() - startedAt)
        done++
      }
    }),
  )
  const seconds = (performance.now() - began) / 1000
  const { user, system } = process.cpuUsage(cpu)
  for (const connection of opened) connection.close()
  return {
    kind: 'done',
    count: latencies.length,
    seconds,
    p99Ms: quantile(latencies, 0.99),
    cpuSeconds: (user + system) / 1e6,
  }
}

const reply = (message: Reply): void => void process.send?.(message)

process.on('message', (message) => {
  doJob(v.parse(jobSchema, message)).then(reply, (error: unknown) => {
    reply({ kind: 'failed', message: error instanceof Error ? error.message : String(error) })
  })
})
