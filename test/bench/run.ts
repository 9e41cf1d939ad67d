/**
 * `npm run bench`: Berth as it starts by default beside Debian's docker-registry, nginx, and loops that do only what must be done, in one run, in turns, medians. A
 * measurement, never a test: it says nothing about right or wrong, and its ratios tell more than its figures. It wants
 * `docker-registry nginx-light wrk` (Debian's packages).
 */
import { rmSync } from 'node:fs'
import { mkdtemp } from 'node:fs/promises'
import { availableParallelism, cpus, tmpdir } from 'node:os'
import { join } from 'node:path'
import { exitCodes } from '../../src/cli/command.ts'
import { attempt } from '../clients/process.ts'
import { type BenchOptions, parseOptions, usage } from './arguments.ts'
import { bigMebibytes, type Content, createContent } from './content.ts'
import { fill } from './fill.ts'
import { type Generator, startGenerator } from './load/client.ts'
import { measureInTurns, warmUp } from './measure.ts'
import type { Operation } from './operation.ts'
import { createPulls } from './pulls.ts'
import { createPushes } from './pushes.ts'
import { type Server, serverNames, startServers } from './servers.ts'
import { createStarts } from './starts.ts'
import { renderHead, renderRows } from './table.ts'
import { type Measured, renderLimits, renderVerdicts, targets } from './targets.ts'

/** Where `--quick` does less. */
const full = { ms: 2000, largeMebibytes: 100, largeTimes: 2, hugeMebibytes: 1024, records: 200_000 }
const quick: typeof full = { ms: 200, largeMebibytes: 16, largeTimes: 1, hugeMebibytes: 32, records: 1000 }

function createOperations(content: Content, generator: Generator, folder: string, sizes: typeof full): Operation[] {
  return [
    ...createPulls(content, generator, sizes),
    ...createStarts(folder, sizes.records),
    ...createPushes(content, generator, sizes),
  ]
}

async function measureAll(
  operations: readonly Operation[],
  servers: readonly Server[],
  options: BenchOptions,
): Promise<void> {
  const measured: Measured[] = []
  let group = ''
  for (const operation of operations) {
    const results = await measureInTurns(operation, servers, { rounds: options.rounds, warmUp: !options.isQuick })
    if (operation.group !== group) console.log(renderHead(operation.group))
    group = operation.group
    console.log(renderRows(operation, results))
    measured.push({ operation, results })
  }
  console.log(renderLimits(measured) + renderVerdicts(targets, measured))
}

async function checkPrograms(): Promise<void> {
  for (const [program, option] of Object.entries({ 'docker-registry': '--version', nginx: '-v', wrk: '-v' })) {
    const isThere = await attempt(program, [option]).then(
      () => true,
      () => false,
    )
    if (!isThere) refuse(`${program} is missing: apt-get install docker-registry nginx-light wrk`)
  }
}

/** What is wrong is not in the bench: a sentence, and the exit code that `berth` has for that. */
function refuse(message: string): never {
  console.error(message)
  process.exit(exitCodes.refused.code)
}

async function bench(options: BenchOptions): Promise<void> {
  await checkPrograms()
  const folder = await mkdtemp(join(tmpdir(), 'berth-bench-'))
  const remove = (): void => rmSync(folder, { recursive: true, force: true })
  process.once('SIGINT', () => process.exit(130)).once('exit', remove)
  const generator = startGenerator()
  const content = createContent()
  const sizes = options.isQuick ? quick : full
  const all = createOperations(content, generator, folder, sizes)
  const operations = all.filter(({ name }) => options.only.test(name))
  if (operations.length === 0) refuse(`--only matches none of these:\n${all.map(({ name }) => `  ${name}`).join('\n')}`)
  const names = serverNames.filter((name) => operations.some(({ servers }) => servers.includes(name)))
  const servers = await startServers(names, folder, bigMebibytes * 1024 * 1024)
  try {
    await fill(servers, content, new Set(operations.flatMap(({ needs }) => needs ?? [])))
    const machine = `${availableParallelism()} cores (${cpus()[0]?.model ?? 'unknown'})`
    console.log(
      `Node.js ${process.version}, ${machine}, ${options.rounds} rounds in turns, medians; peak: the most, all processes`,
    )
    if (options.isQuick) await warmUp(all, servers)
    await measureAll(operations, servers, options)
  } finally {
    generator.stop()
    await Promise.all(servers.map((server) => server.stop()))
  }
}

function readOptions(): BenchOptions {
  try {
    return parseOptions(process.argv.slice(2))
  } catch (error) {
    return refuse(`${error instanceof Error ? error.message : String(error)}\n\n${usage}`)
  }
}

await bench(readOptions())
