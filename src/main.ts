#!/usr/bin/env node
/** The process: hands its arguments, environment and signals to the command line. The only place that touches them, or ends the process. */
import { fork, spawnSync } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'
import { availableParallelism, getPriority, setPriority } from 'node:os'
import { createWorkerStarter, describeEnd, thrift } from './cli/cluster.ts'
import { runCommandLine } from './cli/command-line.ts'
import type { Priority, Surroundings } from './cli/command.ts'
import { giveBack, giveBackArguments } from './cli/give-back.ts'

const stopSignals = ['SIGINT', 'SIGTERM'] as const

const program = process.argv[1] ?? import.meta.filename

/** Of a processor that one other keeps busy it has a tenth. sched(7), "The nice value". */
const lowPriority = 10

/** What works beside a server may be killed anywhere; one that gets no processor would not even hear that it should stop. In ms. */
const stopBesideMs = 5000

const neverWoken = new Int32Array(new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT))

/**
 * The process beside a server works through millions of short-lived objects. Measured with `berth gc` on a million records: a heap that grew to 410 MiB,
 * 170 of them in use after 200,000 manifests were read (more than now, decision 18), grows to 250 with the first two flags, for a few ms every 20 s. Two threads of the pool, and
 * none but the main one that collects garbage: requests were seen to wait milliseconds for a thread that is idle by policy (decision 18).
 */
const beside = {
  execArgv: ['--max-semi-space-size=8', '--heap-growing-percent=40', '--single-threaded-gc', ...giveBackArguments],
  env: { UV_THREADPOOL_SIZE: '2' },
} as const

// Whoever read our output may leave early (`berth help | head`); that must not stop a server.
process.stdout.on('error', () => undefined)
process.stderr.on('error', () => undefined)

/**
 * For this process with all its threads. Node cannot set a scheduling policy; these two are a part of nearly every Linux. sched(7), SCHED_IDLE. What it
 * asks of the disk is not put off likewise: it would hold a directory for as long that others need. Threads that are started later have the same.
 */
function lowerPriority(to: Priority): Priority {
  const options = { stdio: 'ignore', timeout: 1000 } as const
  spawnSync('ionice', ['-c', '2', '-n', '7', '-p', String(process.pid)], options)
  if (to === 'idle') {
    const { status } = spawnSync('chrt', ['-a', '-i', '-p', '0', String(process.pid)], options)
    if (status === 0) return 'idle'
  }
  // Linux has one for each thread; those that are started later have that of the one that starts them.
  for (const thread of threads()) {
    try {
      setPriority(thread, Math.max(lowPriority, getPriority(thread)))
    } catch {
      // It has ended, or is nicer than it may stay: then it is low enough.
    }
  }
  return 'low'
}

function threads(): readonly number[] {
  try {
    return readdirSync('/proc/self/task').map(Number)
  } catch {
    return [process.pid]
  }
}

/** The first thread, which does nearly all: its second number are ns. Documentation/scheduler/sched-stats.rst of the kernel. */
function waitedMs(): number | undefined {
  try {
    return Number(readFileSync('/proc/self/schedstat', 'utf8').split(' ')[1]) / 1e6
  } catch {
    return undefined
  }
}

const runBeside: Surroundings['runBeside'] = (args, onMessage, signal) =>
  new Promise((resolve) => {
    const child = fork(program, args, {
      stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
      env: { ...beside.env, ...process.env, ...thrift.env },
      execArgv: [...process.execArgv, ...beside.execArgv],
    })
    let last: NodeJS.Timeout | undefined
    const stop = (): void => {
      child.kill('SIGTERM')
      last = setTimeout(() => child.kill('SIGKILL'), stopBesideMs)
    }
    const end = (reason: string): void => {
      clearTimeout(last)
      signal.removeEventListener('abort', stop)
      resolve(reason)
    }
    signal.addEventListener('abort', stop)
    child.on('message', onMessage)
    child.once('error', (error) => end(error.message))
    child.once('exit', (code, killer) => end(describeEnd(code, killer)))
    if (signal.aborted) stop()
  })

const exitCode = await runCommandLine(process.argv.slice(2), {
  environment: process.env,
  out: (text) => process.stdout.write(text),
  err: (text) => process.stderr.write(text),
  isTerminal: process.stdout.isTTY,
  onStop: (listener) => {
    for (const signal of stopSignals) process.on(signal, listener)
    return () => {
      for (const signal of stopSignals) {
        // Whoever has heard one is about to end: a later one must not change how.
        process.on(signal, () => undefined)
        process.off(signal, listener)
      }
    }
  },
  runBeside,
  processors: availableParallelism(),
  startWorker: createWorkerStarter(program),
  onUncaught: (listener) => {
    // Of rejections that nobody handled, too.
    process.on('uncaughtException', listener)
    return () => process.off('uncaughtException', listener)
  },
  parent: {
    tell: (message) =>
      new Promise((resolve) => {
        if (process.send === undefined) resolve()
        else process.send(message, undefined, undefined, () => resolve())
      }),
    onMessage: (listener) => void process.on('message', listener),
    onGone: (listener) => void process.once('disconnect', listener),
  },
  background: {
    lowerPriority,
    waitedMs,
    usedMs: () => {
      const { user, system } = process.cpuUsage()
      return (user + system) / 1000
    },
    giveBack,
    pause: (ms) => void Atomics.wait(neverWoken, 0, 0, ms),
  },
})
process.exit(exitCode)
