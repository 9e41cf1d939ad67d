/** How many connections there may be: the next is told so and closed, before anything of it is read. */
import type { Server } from 'node:http'
import type { Socket } from 'node:net'

/** Refused connections that linger until their client has read why; beyond, they are closed without a word. */
const maxRefused = 100

/** Guards a server that does not listen yet. `refuse` answers a socket and closes it. */
export function limitConnections(server: Server, maxConnections: number, refuse: (socket: Socket) => void): void {
  const accept = server.listeners('connection')
  server.removeAllListeners('connection')
  let open = 0
  let refused = 0
  server.on('connection', (socket: Socket) => {
    if (open < maxConnections) {
      open++
      socket.once('close', () => void open--)
      for (const listener of accept) listener.call(server, socket)
    } else if (refused < maxRefused) {
      refused++
      socket.once('close', () => void refused--)
      refuse(socket)
    } else {
      socket.destroy()
    }
  })
}
