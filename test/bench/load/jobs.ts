/** What the load generator is told to do, and what it answers: messages between two processes, so they are parsed. */
import * as v from 'valibot'

const flowSchema = v.variant('kind', [
  /** One request again and again. */
  v.object({
    kind: v.literal('request'),
    method: v.picklist(['GET', 'HEAD']),
    path: v.string(),
    headers: v.record(v.string(), v.string()),
    status: v.number(),
  }),
  /** A new blob of so many bytes: POST and PUT, POST and PATCH and PUT, or one PUT of a file. */
  v.object({ kind: v.literal('push'), style: v.picklist(['put', 'patch', 'file']), bytes: v.number() }),
  /** A new image as docker pushes it: for each blob HEAD, POST, PATCH, PUT, then the manifest under a tag. */
  v.object({ kind: v.literal('image'), configBytes: v.number(), layerBytes: v.array(v.number()) }),
  /** A blob of one repository into a new one. */
  v.object({ kind: v.literal('mount'), digest: v.string(), from: v.string() }),
])

export const jobSchema = v.object({
  port: v.number(),
  connections: v.number(),
  /** Each connection goes on for so long, or does it so often. */
  until: v.variant('kind', [
    v.object({ kind: v.literal('ms'), ms: v.number() }),
    v.object({ kind: v.literal('times'), times: v.number() }),
  ]),
  flow: flowSchema,
})

export const replySchema = v.variant('kind', [
  v.object({
    kind: v.literal('done'),
    count: v.number(),
    seconds: v.number(),
    p99Ms: v.number(),
    /** Of the generator itself. */
    cpuSeconds: v.number(),
  }),
  v.object({ kind: v.literal('failed'), message: v.string() }),
])

export type Flow = v.InferOutput<typeof flowSchema>
export type Job = v.InferOutput<typeof jobSchema>
export type Reply = v.InferOutput<typeof replySchema>
export type Done = Extract<Reply, { kind: 'done' }>
