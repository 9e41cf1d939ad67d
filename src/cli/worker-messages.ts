/** What a server and its workers tell each other. Both are of one version; what is not understood is dropped all the same. */
import * as v from 'valibot'
import type { Snapshot } from '../telemetry/merged-metrics.ts'
import type { Drained } from './listen.ts'

/** The files of the configuration by their paths, as the server has read them. */
export type Texts = Readonly<Record<string, string>>

/** What a worker is told. */
export type Order =
  /** Open the store, which has been checked, and listen. */
  | { readonly kind: 'serve'; readonly texts: Texts }
  /** Say what you have counted. */
  | { readonly kind: 'measure' }
  | { readonly kind: 'stop' }
  /** Somebody will not wait: cut what still runs. */
  | { readonly kind: 'hurry' }

/** What a worker says. */
export type Report =
  /** It can be told to serve. */
  | { readonly kind: 'loaded' }
  | { readonly kind: 'listening'; readonly port: number }
  /** It cannot serve, and ends; one sentence. */
  | { readonly kind: 'refused'; readonly message: string }
  | { readonly kind: 'measured'; readonly snapshot: Snapshot }
  /** It met a bug, ends soon, and should be replaced. */
  | { readonly kind: 'faulty' }
  /** Nothing runs any more, and it ends. */
  | { readonly kind: 'drained'; readonly outcome: Drained }

const order = v.variant('kind', [
  v.object({ kind: v.literal('serve'), texts: v.record(v.string(), v.string()) }),
  v.object({ kind: v.literal('measure') }),
  v.object({ kind: v.literal('stop') }),
  v.object({ kind: v.literal('hurry') }),
])

const report = v.variant('kind', [
  v.object({ kind: v.literal('loaded') }),
  v.object({ kind: v.literal('listening'), port: v.number() }),
  v.object({ kind: v.literal('refused'), message: v.string() }),
  v.object({ kind: v.literal('measured'), snapshot: v.array(v.looseObject({ name: v.string(), type: v.string() })) }),
  v.object({ kind: v.literal('faulty') }),
  v.object({ kind: v.literal('drained'), outcome: v.picklist(['finished', 'cut']) }),
])

export function parseOrder(message: unknown): Order | undefined {
  const parsed = v.safeParse(order, message)
  return parsed.success ? parsed.output : undefined
}

export function parseReport(message: unknown): Report | undefined {
  const parsed = v.safeParse(report, message)
  return parsed.success ? parsed.output : undefined
}
