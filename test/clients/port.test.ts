import assert from 'node:assert/strict'
import { randomInt } from 'node:crypto'
import { createServer } from 'node:net'
import { test } from 'node:test'
import { freePort } from './port.ts'
import { run } from './process.ts'

test('a port is given once, though nobody listens on it yet', async () => {
  const given = [await freePort(), await freePort()]
  const script = `import { freePort } from ${JSON.stringify(import.meta.resolve('./port.ts'))}
    const wished = ${JSON.stringify(given)}
    console.log(await freePort(() => wished.shift() ?? 10_000 + Math.floor(Math.random() * 20_000)))`
  const other = Number(await run(process.execPath, ['--input-type=module', '-e', script]))
  assert.ok(!given.includes(other) && other > 0, `${other} of ${given.join(' ')}`)
})

test('who can have none is told', async () => {
  const port = await freePort()
  await assert.rejects(
    freePort(() => port),
    /none of 100 ports/,
  )
})

test('a port on which somebody listens is not given', async (t) => {
  const server = createServer()
  t.after(() => server.close())
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  assert.ok(typeof address === 'object' && address !== null)
  const wished = [address.port]
  assert.notEqual(await freePort(() => wished.shift() ?? randomInt(10_000, 32_768)), address.port)
})
