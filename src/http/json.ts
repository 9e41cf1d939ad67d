/** Small JSON answers. */
import type { HttpContext } from './context.ts'

/** Answers 200 with JSON. A Buffer, so that Koa adds no charset parameter and the length is exact. */
export function sendJson(ctx: HttpContext, value: unknown): void {
  ctx.set('Content-Type', 'application/json')
  ctx.body = Buffer.from(JSON.stringify(value))
}

/** Answers without a body. Koa turns a status into a text and a later null body into 204, so the order matters. */
export function sendEmpty(ctx: HttpContext, status: 201 | 202 | 204 | 307): void {
  ctx.body = null
  ctx.status = status
}
