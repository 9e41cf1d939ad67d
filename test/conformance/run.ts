/**
 * The official conformance suite against a fresh Berth: `node test/conformance/run.ts filesystem`. The suite's exit code says too little (it
 * ignores skips, and a configuration that it cannot read), so what counts is what its `junit.xml` says.
 */
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { startBerth } from '../clients/berth.ts'
import { attempt } from '../clients/process.ts'
import { createBucketFor } from '../s3/open.ts'
import { startRoundRobin } from '../s3/round-robin.ts'
import { startVersitygw } from '../s3/servers.ts'
import { s3Environment } from '../s3/settings.ts'
import { isPassed, parseTotals } from './junit.ts'

/** How many tests the suite has at `dev` in the version that CI pins; fewer means that some were not asked for. */
const expectedTests = 986

interface Tested {
  /** Where the suite asks. */
  readonly address: string
  readonly output: () => string
  readonly stop: () => Promise<unknown>
}

async function startOne(storage: 'filesystem' | 'memory'): Promise<Tested> {
  return startBerth({ storage })
}

/** On a bucket; several are asked in turn. */
async function startOnBucket(replicas: number): Promise<Tested> {
  const server = await startVersitygw()
  const env = s3Environment(server, await createBucketFor(server))
  const registries = await Promise.all(Array.from({ length: replicas }, () => startBerth({ env })))
  const balancer = await startRoundRobin(registries)
  return {
    address: balancer.address,
    output: () => registries.map((one) => one.output()).join('\n'),
    stop: async () => {
      await balancer.close()
      await Promise.all(registries.map((one) => one.stop()))
      await server.remove()
    },
  }
}

const kinds: ReadonlyMap<string, () => Promise<Tested>> = new Map([
  ['filesystem', () => startOne('filesystem')],
  ['memory', () => startOne('memory')],
  ['s3', () => startOnBucket(1)],
  ['s3-replicas', () => startOnBucket(2)],
])

const kind = process.argv[2] ?? ''
const start = kinds.get(kind)
if (start === undefined) throw new Error(`which storage: ${[...kinds.keys()].join(', ')}?`)

const results = await mkdtemp(join(tmpdir(), 'berth-conformance-'))
const berth = await start()
try {
  const output = await runSuite(berth, results)
  const totals = parseTotals(await readFile(join(results, 'junit.xml'), 'utf8'))
  const { tests, failures, errors, skipped, disabled } = totals
  const counts = `${tests} tests, ${failures} failures, ${errors} errors, ${skipped} skipped, ${disabled} disabled`
  console.log(`conformance at dev, ${kind}: ${counts}`)
  if (!isPassed(totals, expectedTests)) {
    console.log(`expected: ${expectedTests} tests or more and nothing else\n`, output, berth.output().slice(-20_000))
    process.exitCode = 1
  }
} finally {
  await berth.stop()
  await rm(results, { recursive: true, force: true })
}

async function runSuite(registry: Tested, folder: string): Promise<string> {
  const { code, stdout, stderr } = await attempt('conformance', [], {
    timeoutMs: 300_000,
    cwd: folder,
    env: {
      OCI_REGISTRY: registry.address,
      OCI_TLS: 'disabled',
      OCI_VERSION: 'dev',
      OCI_RESULTS_DIR: folder,
      OCI_REPO1: 'conformance/repo1',
      OCI_REPO2: 'conformance/repo2',
      OCI_LOG: 'error',
      OCI_USERNAME: '',
      OCI_PASSWORD: '',
    },
  })
  const output = `${stdout.toString()}\n${stderr}`
  const kept = process.env['CONFORMANCE_OUTPUT']
  if (kept !== undefined) await writeFile(kept, output)
  if (code !== 0) console.log(`conformance ended with ${code}`)
  return output
}
