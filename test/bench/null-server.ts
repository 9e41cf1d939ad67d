/**
 * A server that does nothing, for the load generator to be measured against: bodies are thrown away unread, blobs are the same mebibyte
 * again and again. `node null-server.ts PORT BYTES`: every GET has so many bytes, or those of its range.
 */
import { once } from 'node:events'
import { createServer, type Socket } from 'node:net'

const [port = '', blobBytes = ''] = process.argv.slice(2)
const piece = Buffer.alloc(1024 * 1024)

async function sendBytes(socket: Socket, size: number): Promise<void> {
  for (let left = size; left > 0; left -= piece.length) {
    if (!socket.write(left < piece.length ? piece.subarray(0, left) : piece)) await once(socket, 'drain')
  }
}

function answer(socket: Socket, head: string): void {
  if (head.startsWith('GET')) {
    const [, first = 0, last = Number(blobBytes) - 1] = /\r\nRange: bytes=(\d+)-(\d+)/i.exec(head) ?? []
    const size = Number(last) - Number(first) + 1
    socket.write(
      `HTTP/1.1 ${size === Number(blobBytes) ? '200 OK' : '206 Partial Content'}\r\nContent-Length: ${size}\r\n\r\n`,
    )
    sendBytes(socket, size).catch(() => socket.destroy())
    return
  }
  const status = head.startsWith('HEAD') ? '200 OK' : head.startsWith('PUT') ? '201 Created' : '202 Accepted'
  socket.write(`HTTP/1.1 ${status}\r\nLocation: /v2/upload\r\nContent-Length: 0\r\n\r\n`)
}

function serve(socket: Socket): void {
  let head = ''
  let missing = 0
  socket.on('error', () => socket.destroy())
  socket.on('data', (bytes: Buffer) => {
    let left = bytes.length
    if (missing === 0) {
      head += bytes.toString('latin1')
      const end = head.indexOf('\r\n\r\n')
      if (end < 0) return
      left = head.length - end - 4
      missing = Number(/\r\ncontent-length: *(\d+)/i.exec(head)?.[1] ?? 0)
    }
    missing -= left
    if (missing > 0) return
    answer(socket, head)
    head = ''
  })
}

createServer({ noDelay: true, highWaterMark: piece.length }, serve).listen(Number(port), '127.0.0.1')
