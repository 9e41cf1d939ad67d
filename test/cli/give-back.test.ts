import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { test } from 'node:test'
import { giveBackArguments } from '../../src/cli/give-back.ts'

/** Bytes of memory before and after, of a process whose heap was once large. */
function run(flags: readonly string[]): readonly [before: number, after: number] {
  const module = JSON.stringify(new URL('../../src/cli/give-back.ts', import.meta.url).href)
  const program = `
    import { giveBack } from ${module}
    let all = Array.from({ length: 40 }, (_, i) => Array.from({ length: 20_000 }, (_, j) => ({ text: 'x' + i + j, list: [j] })))
    const few = all.map((some) => some.filter((_, i) => i % 200 === 0))
    const before = process.memoryUsage.rss()
    all = undefined
    giveBack()
    console.log(JSON.stringify([before, process.memoryUsage.rss(), few.length]))`
  const out = execFileSync(process.execPath, [...flags, '--input-type=module', '-e', program], { encoding: 'utf8' })
  const [before, after]: unknown[] = JSON.parse(out)
  return [Number(before), Number(after)]
}

void test('a process that was started for it gives back the memory of what it has dropped', () => {
  const [before, after] = run(giveBackArguments)
  assert.ok(after < before - 40_000_000, `${before} bytes, then ${after}`)
})

void test('another one does not fail', () => {
  const [before, after] = run([])
  assert.ok(before > 0 && after > 0)
})
