/** The image service of containerd's CRI, which a kubelet uses: one gRPC call over a Unix socket, written by hand as no client of it is packaged. */
import { connect } from 'node:http2'
import { connect as connectSocket } from 'node:net'
import { buffer } from 'node:stream/consumers'

/** A length-delimited field of a protobuf message: its number must be below 16, its bytes fewer than 16,384. */
function field(number: number, bytes: Uint8Array): Buffer {
  const length = bytes.length < 128 ? [bytes.length] : [(bytes.length & 127) | 128, bytes.length >> 7]
  return Buffer.concat([Buffer.from([(number << 3) | 2, ...length]), bytes])
}

/** Pulls an image as a kubelet does and returns the reference it got; rejects with what containerd says. */
export async function pullImage(socket: string, image: string): Promise<string> {
  const client = connect('http://localhost', { createConnection: () => connectSocket(socket) })
  try {
    const call = client.request({
      ':method': 'POST',
      ':path': '/runtime.v1.ImageService/PullImage',
      'content-type': 'application/grpc',
      te: 'trailers',
    })
    const trailers = new Promise<Record<string, unknown>>((resolve, reject) => {
      // A refusal may have no body: then its status stands in the headers.
      call.once('response', (headers) => headers['grpc-status'] !== undefined && resolve(headers))
      call.once('trailers', resolve).once('error', reject)
    })
    // PullImageRequest { ImageSpec image = 1 { string image = 1 } }
    const message = field(1, field(1, Buffer.from(image)))
    const head = Buffer.alloc(5)
    head.writeUInt32BE(message.length, 1)
    call.end(Buffer.concat([head, message]))
    const [answer, end] = await Promise.all([buffer(call), trailers])
    if (end['grpc-status'] !== '0') throw new Error(`PullImage ${image}: ${String(end['grpc-message'])}`)
    // PullImageResponse { string image_ref = 1 }, behind five bytes of gRPC and two of the field.
    return answer.subarray(7).toString()
  } finally {
    client.close()
  }
}
