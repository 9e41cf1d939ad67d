/**
 * The storage layout: the tree is drawn here, every key is built and parsed here, and nowhere else. It knows names and digests, not what
 * the values under the keys contain.
 *
 *     berth                              format marker
 *     data/<id>/<segment>                bytes of one request body, `<offset>-<random>`; written once, never changed
 *     data/<id>/!<attempt>               mark: somebody wants to delete these bytes
 *     data/<id>/~<repo>                  renewal: the link of this repository is as young as this key
 *     uploads/<id>/session               upload session
 *     uploads/<id>/<offset>              claim: the request body that starts here (16 digits)
 *     uploads/<id>/as-<alg>-<hex>        a digest these bytes were closed under, where the claim does not say it
 *     uploads/<id>/close-<random>        the link to be of one closing request; promoted
 *     blobs/<alg>/<hh>/<hex>/<repo>      link: this repository may serve this blob
 *     pushes/<repo>/<push>/manifest      manifest push in flight; promoted
 *     pushes/<repo>/<push>/tag-<n>       a tag that the push will write; promoted
 *     manifests/<repo>/<alg>-<hex>       manifest
 *     tags/<repo>/<tag>                  tag
 *     named/<repo>/<alg>-<hex>/…         hints who may name this manifest: `tag.<tag>@<push>`, `index.<alg>-<hex>@<push>`,
 *                                        `referrer.<alg>-<hex>@<push>`; marks `!<push>.<attempt>`
 *     garbage/<random>                   for the sweep: what may have lost its last use
 *     scratch/<random>                   start-up check
 *     auth/…                             reserved
 *
 * `<repo>` is the name with `/` `.` `-` written `.` `-` `+`, then `!`: one path segment whose byte order is the order of names, also
 * before the `/` that follows. In tags a capital is written `^` and the small letter, so no two keys differ by case alone.
 */
import { type Digest, hexOf, isDigest, parseDigest } from '../oci/digest.ts'
import { parseName, parseTag, type RepositoryName, type Tag } from '../oci/name.ts'
import type { KeySpace } from '../storage/driver.ts'

/** Which keys exist; handed to the driver when it is opened. */
export const keySpace: KeySpace = {
  singles: ['berth'],
  plain: ['auth/', 'data/', 'garbage/', 'named/', 'pushes/', 'scratch/', 'uploads/'],
  records: [
    { prefix: 'blobs/', depth: 5, fixed: 3 },
    { prefix: 'manifests/', depth: 3, fixed: 1 },
    { prefix: 'tags/', depth: 3, fixed: 1 },
  ],
}
