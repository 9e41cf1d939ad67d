#!/usr/bin/env node
/** The process: hands its arguments, environment and signals to the command line. The only place that touches them, or ends the process. */
import { fork, spawnSync } from 'node:child_process'
import { availableParallelism, setPriority } from 'node:os'
import { createWorkerStarter, describeEnd, thrift } from './cli/cluster.ts'
import { runCommandLine } from './cli/command-line.ts'
import type { Surroundings } from './cli/command.ts'

const stopSignals = ['SIGINT', 'SIGTERM'] as const

const program = process.argv[1] ?? import.meta.filename

/** The lowest: what runs beside a server goes on only when nobody waits. */
const lowPriority = 19

const neverWoken = new Int32Array(new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT))

/** Threads that wait for the disk in a process beside a server: each can keep a processor from it. */
const threadsBeside = 2

// Whoever read our output may leave early (`berth help | head`); that must not stop a server.
process.stdout.on('error', () => undefined)
process.stderr.on('error', () => undefined)

/**
 * For this process with all its threads. Node cannot set a scheduling policy; these two are a part of nearly every Linux. sched(7), SCHED_IDLE. What it
 * asks of the disk is not put off likewise: it would hold a directory for as long that others need. Threads that are started later have the same.
 */
function lowerPriority(): 'idle' | 'low' {
  const options = { stdio: 'ignore', timeout: 1000 } as const
  spawnSync('ionice', ['-c', '2', '-n', '7', '-p', String(process.pid)], options)
  const { status } = spawnSync('chrt', ['-a', '-i', '-p', '0', String(process.pid)], options)
  if (status === 0) return 'idle'
  setPriority(lowPriority)
  return 'low'
}

const runBeside: Surroundings['runBeside'] = (args, onMessage, signal) =>
  new Promise((resolve) => {
    const child = fork(program, args, {
      stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
      env: { ...process.env, ...thrift.env, UV_THREADPOOL_SIZE: String(threadsBeside) },
      execArgv: [...process.execArgv, ...thrift.execArgv],
    })
    const stop = (): void => void child.kill('SIGTERM')
    const end = (reason: string): void => {
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
    usedMs: () => {
      const { user, system } = process.cpuUsage()
      return (user + system) / 1000
    },
    pause: (ms) => void Atomics.wait(neverWoken, 0, 0, ms),
  },
})
process.exit(exitCode)
