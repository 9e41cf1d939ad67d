/**
 * The table of routes: what there is, who may use it, who answers. The router, permissions, 405 answers, metric labels and
 * `docs/http-api.md` come from it. Ids are those of distribution-spec v1.1.1 ("Endpoints"); what it does not have is named by a word.
 */
import type { BodyKind } from './admission.ts'
import type { Action } from '../auth/policy.ts'
import { parseDigest } from '../oci/digest.ts'
import { parseName, parseReference } from '../oci/name.ts'
import type { Handler, HttpContext, Services, Target } from './context.ts'
import { authorise } from './authenticate.ts'
import { getBase } from './handlers/base.ts'
import { deleteBlob, getBlob } from './handlers/blobs.ts'
import { listRepositories } from './handlers/catalog.ts'
import { deleteManifest, getManifest, putManifest } from './handlers/manifests.ts'
import { listReferrers } from './handlers/referrers.ts'
import { listTags } from './handlers/tags.ts'
import { appendChunk, cancelUpload, closeUpload, getUpload, startUpload } from './handlers/uploads.ts'

/** The parts of a path as the router cut and decoded them, once. */
export interface RawParameters {
  readonly name?: string
  readonly digest?: string
  readonly reference?: string
  readonly id?: string
}

interface Row<T extends Target> {
  /** The metric label, and `route` of the log. */
  readonly id: string
  readonly methods: readonly ('GET' | 'HEAD' | 'POST' | 'PUT' | 'PATCH' | 'DELETE')[]
  readonly path: string
  /** The right that is needed. */
  readonly action: Action
  /** Of a request with a body: what becomes of it. */
  readonly body?: BodyKind
  /** Turns the parts of the path into parsed values, or refuses. */
  readonly parse: (raw: RawParameters) => T
  readonly handle: Handler<T>
  /** One line for the API page. */
  readonly doc: string
}

export interface Route extends Omit<Row<Target>, 'parse' | 'handle'> {
  /** Parses, asks for permission, then handles: in this order, so that nothing is read or written for somebody who may not. */
  readonly serve: (ctx: HttpContext, raw: RawParameters, services: Services) => Promise<void>
}

function route<T extends Target>({ parse, handle, ...row }: Row<T>): Route {
  const serve = async (ctx: HttpContext, raw: RawParameters, services: Services): Promise<void> => {
    const target = parse(raw)
    ctx.state.repository = target.name
    await authorise(services.authoriser, ctx.state.principal, row.action, target.name)
    if (row.body === undefined) await handle(ctx, target, services)
    else await services.admission.admit(ctx.req, row.body, () => handle(ctx, target, services))
  }
  return { ...row, serve }
}

const inRepository = ({ name = '' }: RawParameters) => ({ name: parseName(name) })
const atDigest = ({ name = '', digest = '' }: RawParameters) => ({ name: parseName(name), digest: parseDigest(digest) })
const atReference = ({ name = '', reference = '' }: RawParameters) => ({
  name: parseName(name),
  reference: parseReference(reference),
})
const atUpload = ({ name = '', id = '' }: RawParameters) => ({ name: parseName(name), id })

const blob = '/v2/*name/blobs/:digest'
const upload = '/v2/*name/blobs/uploads/:id'
const manifest = '/v2/*name/manifests/:reference'

/** Every route. Paths match exactly; `*name` spans several segments. */
export const routes: readonly Route[] = [
  route({
    id: 'end-1',
    methods: ['GET', 'HEAD'],
    path: '/v2{/}',
    action: 'none',
    parse: () => ({}),
    handle: getBase,
    doc: 'Says that this is a registry.',
  }),
  route({
    id: 'end-2',
    methods: ['GET', 'HEAD'],
    path: blob,
    action: 'pull',
    parse: atDigest,
    handle: getBlob,
    doc: 'A blob, or ranges of it (`Range`, `If-Range`, `If-None-Match`).',
  }),
  route({
    id: 'end-3',
    methods: ['GET', 'HEAD'],
    path: manifest,
    action: 'pull',
    parse: atReference,
    handle: getManifest,
    doc: 'A manifest by tag or digest, exactly as pushed (`If-None-Match`).',
  }),
  route({
    id: 'end-4',
    methods: ['POST'],
    path: '/v2/*name/blobs/uploads{/}',
    action: 'push',
    body: 'stream',
    parse: inRepository,
    handle: startUpload,
    doc: 'Starts an upload (end-4a); with `?digest=` takes the whole blob (end-4b); with `?mount=`, and `&from=` or without, mounts it (end-11). `digest-algorithm=sha512` says what the digest will be.',
  }),
  route({
    id: 'end-5',
    methods: ['PATCH'],
    path: upload,
    action: 'push',
    body: 'stream',
    parse: atUpload,
    handle: appendChunk,
    doc: 'Appends a chunk; the first may come without `Content-Range: <first>-<last>`.',
  }),
  route({
    id: 'end-6',
    methods: ['PUT'],
    path: upload,
    action: 'push',
    body: 'stream',
    parse: atUpload,
    handle: closeUpload,
    doc: 'Closes an upload with `?digest=`, with a last chunk or without.',
  }),
  route({
    id: 'end-7',
    methods: ['PUT'],
    path: manifest,
    action: 'push',
    body: 'whole',
    parse: atReference,
    handle: putManifest,
    doc: 'Pushes a manifest, and with `?tag=` (repeatable) further tags of it.',
  }),
  route({
    id: 'end-8',
    methods: ['GET', 'HEAD'],
    path: '/v2/*name/tags/list',
    action: 'pull',
    parse: inRepository,
    handle: listTags,
    doc: 'Tags in ASCII order, in pages (`n`, `last`, `Link`).',
  }),
  route({
    id: 'end-9',
    methods: ['DELETE'],
    path: manifest,
    action: 'delete',
    parse: atReference,
    handle: deleteManifest,
    doc: 'Deletes a tag, or a manifest by digest with all its tags.',
  }),
  route({
    id: 'end-10',
    methods: ['DELETE'],
    path: blob,
    action: 'delete',
    parse: atDigest,
    handle: deleteBlob,
    doc: 'Takes a blob out of the repository.',
  }),
  route({
    id: 'end-12',
    methods: ['GET', 'HEAD'],
    path: '/v2/*name/referrers/:digest',
    action: 'pull',
    parse: atDigest,
    handle: listReferrers,
    doc: 'An index of what refers to a manifest, filtered by `artifactType`, in pages (`n`, `last`, `Link`).',
  }),
  route({
    id: 'end-13',
    methods: ['GET', 'HEAD'],
    path: upload,
    action: 'push',
    parse: atUpload,
    handle: getUpload,
    doc: 'Where an upload stands (`Range`).',
  }),
  route({
    id: 'end-14',
    methods: ['DELETE'],
    path: upload,
    action: 'push',
    parse: atUpload,
    handle: cancelUpload,
    doc: 'Cancels an upload.',
  }),
  route({
    id: 'catalog',
    methods: ['GET', 'HEAD'],
    path: '/v2/_catalog',
    action: 'catalog',
    parse: () => ({}),
    handle: listRepositories,
    doc: 'Repositories in ASCII order, in pages (`n`, `last`, `Link`).',
  }),
]
