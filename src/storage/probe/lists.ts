/** Steps with lists: byte order around every character that keys may have, any `after`, folded or not, in pages. */
import type { ListOptions } from '../driver.ts'
import { lastSkipped } from '../keys.ts'
import { listAll } from '../list-all.ts'
import { failed, ok, type Scratch, type Step } from './step.ts'

/** Around `/`, and what names become in keys. No two differ by case alone, none is a folder of another. */
const names = 'a!/1 a!/2 a+/1 a+b!/1 a-/1 a-b!/1 a./1 a.b!/1 a/1 a/2 a0 a@ aB a^ a^c/1 a_ ad a~ a~~/1 b'.split(' ')

/** Between names, and where a repository's keys end (`registry/catalog.ts`). */
const moreAfters = 'a a! a!/ a!0 a-/ a./ a/ a/0 a/10 a0x c'.split(' ')

/** What a list has to show, by plain comparison of sorted keys. */
function expectedOf(
  prefix: string,
  keys: readonly string[],
  { after, delimiter }: Pick<ListOptions, 'after' | 'delimiter'>,
) {
  const from = lastSkipped(prefix, after)
  const entries = keys
    .filter((key) => key > from)
    .map((key) => {
      const slash = delimiter === undefined ? -1 : key.indexOf('/', prefix.length)
      return slash < 0 ? key : key.slice(0, slash + 1)
    })
  return [...new Set(entries)]
}

const show = (keys: readonly string[], prefix: string): string => keys.map((key) => key.slice(prefix.length)).join(' ')

async function checkOrder({ driver, key, signal, createId }: Scratch) {
  const folder = `${createId()}/`
  const keys = names.map((name) => key(folder + name)).sort()
  const prefix = (keys[0] ?? '').slice(0, -'a!/1'.length)
  // In another order than that of the list.
  for (const one of keys.toReversed()) {
    signal.throwIfAborted()
    await driver.write(one, Buffer.from(one))
  }
  const afters = [undefined, ...keys, ...moreAfters.map((after) => prefix + after)]
  let lists = 0
  for (const delimiter of [undefined, '/'] as const) {
    const fold = delimiter === undefined ? {} : { delimiter }
    for (const after of afters) {
      signal.throwIfAborted()
      const options = { ...fold, ...(after === undefined ? {} : { after }) }
      const { entries } = await driver.list(prefix, { ...options, limit: 1000 })
      const found = entries.map((entry) => entry.key)
      const expected = expectedOf(prefix, keys, options)
      lists++
      if (found.join(' ') === expected.join(' ')) continue
      const what = `${delimiter === undefined ? 'a list' : 'a folded list'} after "${(after ?? prefix).slice(prefix.length)}"`
      return failed(`${what} gives "${show(found, prefix)}" instead of "${show(expected, prefix)}"`)
    }
    const paged: string[] = []
    for await (const entry of listAll(driver, prefix, { ...fold, pageSize: 3 })) paged.push(entry.key)
    if (paged.join(' ') !== expectedOf(prefix, keys, fold).join(' '))
      return failed(`pages of three together give "${show(paged, prefix)}"`)
  }
  return ok(`byte order in ${lists} lists of ${keys.length} keys`)
}

export const listSteps: readonly Step[] = [{ name: 'order of lists', weight: 'needed', run: checkOrder }]
