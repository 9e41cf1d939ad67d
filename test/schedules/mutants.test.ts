/** What CI proves once a day is worth nothing when it has come loose: each mutant fits the source of today and names scenarios that there are. */
import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { mutants } from './mutants.ts'
import { scenarios } from './scenarios.ts'

describe('each mutant', () => {
  it('changes the source as it is', async () => {
    for (const { change } of mutants) {
      if (change === undefined) continue
      const source = await readFile(join(import.meta.dirname, '../../src/registry', change.file), 'utf8')
      assert.notEqual(change.apply(source), source, change.file)
    }
  })

  it('names scenarios that there are', () => {
    for (const { name, scenarios: parts } of mutants) {
      assert.ok(parts.length > 0, name)
      for (const part of parts)
        assert.ok(
          scenarios.some((each) => each.name.includes(part)),
          `${name}: ${part}`,
        )
    }
  })
})
