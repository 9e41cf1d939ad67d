/** The table of routes as middleware, with 404 and 405 as OCI errors for everything that is not in it. */
import { Router } from '@koa/router'
import type { Middleware } from 'koa'
import { OciError } from '../oci/errors.ts'
import { authenticate } from './authenticate.ts'
import type { Extra, Services, State } from './context.ts'
import { type Route, routes } from './routes.ts'

/** Brings a request target in absolute form into origin form; RFC 9112 §3.2.2 wants both accepted. */
export function toOriginForm(target: string): string {
  if (target.startsWith('/')) return target
  const authority = /^https?:\/\/[^/?#]+/i.exec(target)?.[0]
  if (authority === undefined) throw new OciError('REQUEST_INVALID', 'the request target must be a path')
  const rest = target.slice(authority.length)
  return rest.startsWith('/') ? rest : `/${rest}`
}

/** The methods that a path has, for `Allow`. RFC 9110 §10.2.1. */
function methodsOf(paths: ReadonlySet<string>): string {
  return [...new Set(routes.filter(({ path }) => paths.has(path)).flatMap(({ methods }) => methods))].join(', ')
}

function register(router: Router<State, Extra>, services: Services, { id, methods, path, serve }: Route): void {
  router.register(path, [...methods], async (ctx) => {
    ctx.state.route = id
    await serve(ctx, ctx.params, services)
  })
}

/** How many Host headers a request has: with two, a proxy in front may have meant another than we. */
function countHosts(rawHeaders: readonly string[]): number {
  let count = 0
  for (let i = 0; i < rawHeaders.length; i += 2) {
    const name = rawHeaders[i]
    if (name?.length === 4 && name.toLowerCase() === 'host') count++
  }
  return count
}

/** The first look at a request: a target and a host that everything behind can rely on, and who asks. */
export function prepare(): Middleware<State, Extra> {
  return (ctx, next) => {
    const { req, state } = ctx
    // RFC 9112 §3.2. Node would answer this itself, without a body.
    const hosts = countHosts(req.rawHeaders)
    if (hosts > 1 || (hosts === 0 && req.httpVersion === '1.1')) {
      throw new OciError('REQUEST_INVALID', 'a request needs one Host header')
    }
    if (!/^[^\s/?#@]*$/.test(req.headers.host ?? ''))
      throw new OciError('REQUEST_INVALID', 'the Host header is not a host')
    // RFC 9112 §6.1: a coding that is not understood must not be taken for the content.
    const coding = req.headers['transfer-encoding']
    if (coding !== undefined && coding.toLowerCase() !== 'chunked') {
      throw new OciError('REQUEST_INVALID', 'the only Transfer-Encoding understood here is chunked')
    }
    req.url = toOriginForm(req.url ?? '')
    state.principal = authenticate(ctx)
    return next()
  }
}

/** What answers requests by their paths. */
type Routing = ReturnType<Router<State, Extra>['routes']>

/** Decodes each part of a path once; what is still escaped then is malformed. */
function createRouterOf(some: readonly Route[], services: Services): Routing {
  // Without `exclusive` every route that matches would run, one after the other.
  const router = new Router<State, Extra>({ sensitive: true, strict: true, exclusive: true })
  for (const each of some) register(router, services, each)
  router.on('not-found', (ctx) => {
    const paths = new Set((ctx.matched ?? []).map(({ path }) => String(path)))
    if (paths.size === 0) throw new OciError('NOT_FOUND', 'there is no such endpoint')
    const allow = methodsOf(paths)
    throw new OciError('UNSUPPORTED', `here only ${allow} can be used`, { headers: { Allow: allow } })
  })
  return router.routes()
}

/** What a path has before its last `/`, back to the one before: the word that tells its routes from all others. */
function wordOf(path: string): string {
  const last = path.lastIndexOf('/')
  return path.slice(path.lastIndexOf('/', last - 1) + 1, last)
}

/** The words that paths of a route can have. */
function wordsOf({ path }: Route): readonly string[] {
  const bare = path.replace('{/}', '')
  return bare === path ? [wordOf(path)] : [wordOf(bare), wordOf(`${bare}/`)]
}

/** A router for each word that routes have: one of all would try every route for each request. */
export function createRouter(services: Services): (...request: Parameters<Routing>) => ReturnType<Routing> {
  const words = new Set(routes.flatMap(wordsOf))
  const routers = new Map(
    Array.from(words, (word) => [
      word,
      createRouterOf(
        routes.filter((route) => wordsOf(route).includes(word)),
        services,
      ),
    ]),
  )
  const none = createRouterOf([], services)
  return (ctx, next) => (routers.get(wordOf(ctx.path)) ?? none)(ctx, next)
}
