/**
 * `npm run bench [-- ROUNDS]`: Berth beside Debian's docker-registry and nginx, in one run, in turns, medians. A measurement, never a test: it
 * says nothing about right or wrong, and its ratios tell more than its figures. It wants `docker-registry nginx-light wrk curl` (Debian's packages).
 */
import { mkdtemp, rm } from 'node:fs/promises'
import { availableParallelism, tmpdir } from 'node:os'
import { join } from 'node:path'
import { createBlobFile, createPushedFiles, fill } from './content.ts'
import { createOperations } from './operations.ts'
import type { Operation } from './operations.ts'
import { startServers } from './servers.ts'
import type { Server } from './servers.ts'
import { renderTable } from './table.ts'
import type { Sample } from './table.ts'

const rounds = Number(process.argv[2] ?? 5)
const folder = await mkdtemp(join(tmpdir(), 'berth-bench-'))
const servers = await startServers(folder)
try {
  const blob = await createBlobFile(join(folder, 'blob'))
  const digest = await blob.renew()
  for (const server of servers) await fill(server, blob, digest)
  console.log(`Node.js ${process.version}, ${availableParallelism()} cores, ${rounds} rounds; median (best)\n`)
  const pushed = await createPushedFiles(servers)
  for (const operation of createOperations(blob, digest, pushed)) {
    console.log(renderTable(operation, await measureInTurns(operation)))
  }
} finally {
  await Promise.all(servers.map((server) => server.stop()))
  await rm(folder, { recursive: true, force: true })
}

/** A first round that does not count, then the servers in an order that moves on by one every round. */
async function measureInTurns(operation: Operation): Promise<ReadonlyMap<string, readonly Sample[]>> {
  const samples = new Map<string, Sample[]>(servers.map(({ name }) => [name, []]))
  for (let round = 0; round <= rounds; round++) {
    for (let place = 0; place < servers.length; place++) {
      const server = servers[(place + round) % servers.length]
      if (server === undefined) continue
      const sample = await measure(operation, server)
      if (round > 0) samples.get(server.name)?.push(sample)
    }
  }
  return samples
}

async function measure(operation: Operation, server: Server): Promise<Sample> {
  const before = await server.readCpu()
  const { amount, seconds } = await operation.measure(server)
  const cpuSeconds = (await server.readCpu()) - before
  await operation.cleanUp(server)
  return { speed: amount / seconds, cpu: (cpuSeconds / amount) * operation.cpuScale }
}
