/** A line of so many bytes a second to a server: `node throttle.ts PORT TARGET_PORT BYTES`, each direction by itself, all connections together. */
import { connect, createServer, type Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'

const [port = 0, target = 0, bytesPerSecond = 0] = process.argv.slice(2).map(Number)

/** When the line is free again, in ms of the monotonic clock. */
function createLine(): (bytes: number) => Promise<unknown> {
  let freeAt = 0
  return (bytes) => {
    const now = performance.now()
    freeAt = Math.max(freeAt, now) + (bytes / bytesPerSecond) * 1000
    // A timer is too coarse for one chunk: what is due within a few ms may pass.
    return freeAt - now > 4 ? sleep(freeAt - now) : Promise.resolve()
  }
}

const up = createLine()
const down = createLine()

async function copy(from: Socket, to: Socket, line: (bytes: number) => Promise<unknown>): Promise<void> {
  try {
    for await (const chunk of from) {
      if (!Buffer.isBuffer(chunk)) continue
      await line(chunk.length)
      if (!to.write(chunk)) await new Promise((resolve) => to.once('drain', resolve).once('close', resolve))
    }
    to.end()
  } catch {
    to.destroy()
  }
}

createServer((client) => {
  const server = connect(target, '127.0.0.1').setNoDelay(true)
  client.setNoDelay(true).on('error', () => server.destroy())
  server.on('error', () => client.destroy())
  void copy(client, server, up)
  void copy(server, client, down)
}).listen(port, '127.0.0.1')
