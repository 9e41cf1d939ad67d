#!/usr/bin/env node
/** The process: hands its arguments, environment and signals to the command line. The only place that touches them, or ends the process. */
import { runCommandLine } from './cli/command-line.ts'

const stopSignals = ['SIGINT', 'SIGTERM'] as const

// Whoever read our output may leave early (`berth help | head`); that must not stop a server.
process.stdout.on('error', () => undefined)
process.stderr.on('error', () => undefined)

const exitCode = await runCommandLine(process.argv.slice(2), {
  environment: process.env,
  out: (text) => process.stdout.write(text),
  err: (text) => process.stderr.write(text),
  isTerminal: process.stdout.isTTY,
  onStop: (listener) => {
    for (const signal of stopSignals) process.on(signal, listener)
    return () => {
      for (const signal of stopSignals) process.off(signal, listener)
    }
  },
})
process.exit(exitCode)
