/** Loaded before everything else in a process of its own: the source of one module is changed before it runs. `MUTANT` says which mutant. */
import { registerHooks } from 'node:module'
import { mutants } from './mutants.ts'

const mutant = mutants.find(({ name }) => name === process.env['MUTANT'])
const change = mutant?.change
if (change !== undefined) {
  let isApplied = false
  registerHooks({
    load(url, context, nextLoad) {
      const loaded = nextLoad(url, context)
      if (!url.endsWith(`/src/registry/${change.file}`)) return loaded
      isApplied = true
      const source = typeof loaded.source === 'string' ? loaded.source : new TextDecoder().decode(loaded.source)
      return { ...loaded, source: change.apply(source) }
    },
  })
  process.on('exit', () => {
    if (!isApplied) process.exitCode = 3
  })
}
