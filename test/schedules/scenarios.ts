/** The cases that matter, after the scenarios of the model: who runs at once, from which store, with what going wrong. */
import { blobs } from './scenarios/blobs.ts'
import { deletes } from './scenarios/deletes.ts'
import { immutable } from './scenarios/immutable.ts'
import { manifests } from './scenarios/manifests.ts'
import type { Scenario } from './scenarios/preparation.ts'
import { readers } from './scenarios/readers.ts'
import { retention } from './scenarios/retention.ts'
import { scrubs } from './scenarios/scrubs.ts'
import { slowCopies } from './scenarios/slow-copies.ts'
import { uploads } from './scenarios/uploads.ts'

export const scenarios: readonly Scenario[] = [
  ...blobs,
  ...manifests,
  ...deletes,
  ...immutable,
  ...retention,
  ...uploads,
  ...readers,
  ...slowCopies,
  ...scrubs,
]
