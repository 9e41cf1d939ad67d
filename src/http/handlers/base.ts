/** `/v2/`: says that this is a registry. distribution-spec v1.1.1, end-1. */
import type { HttpContext } from '../context.ts'
import { sendJson } from '../json.ts'

export function getBase(ctx: HttpContext): void {
  sendJson(ctx, {})
}
