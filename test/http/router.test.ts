import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { Action, Authoriser } from '../../src/auth/policy.ts'
import { toOriginForm } from '../../src/http/router.ts'
import { routes } from '../../src/http/routes.ts'
import { computeDigest } from '../../src/oci/digest.ts'
import { OciError } from '../../src/oci/errors.ts'
import { codesOf, memory, pushBlob, pushManifest, startRegistry, type TestRegistry } from './harness.ts'

const digest = computeDigest('sha256', Buffer.from('x'))
const id = '11111111-1111-4111-8111-111111111111'

const urlOf = (path: string): string =>
  path
    .replace('*name', 'secret')
    .replace(':digest', digest)
    .replace(':reference', 'v1')
    .replace(':id', id)
    .replace('{/}', '/')

describe('the table of routes', () => {
  test('every method of a path is in one row, every id in one row', () => {
    const keys = routes.flatMap(({ methods, path }) => methods.map((method) => `${method} ${path}`))
    assert.equal(new Set(keys).size, keys.length)
    assert.equal(new Set(routes.map((route) => route.id)).size, routes.length)
  })

  test('GET comes with HEAD', () => {
    for (const { methods } of routes) assert.equal(methods.includes('GET'), methods.includes('HEAD'))
  })

  test('what changes something needs more than pull', () => {
    for (const { methods, action, id } of routes) {
      const changes = methods.some((method) => method !== 'GET' && method !== 'HEAD')
      if (changes) assert.ok(action === 'push' || action === 'delete', id)
    }
  })

  test('cancelling an upload is covered by push: skopeo and crane ask for nothing else', () => {
    assert.equal(routes.find((route) => route.id === 'end-14')?.action, 'push')
  })
})

test('a request target in absolute form is brought into origin form', () => {
  assert.equal(toOriginForm('/v2/?x'), '/v2/?x')
  assert.equal(toOriginForm('http://h/v2/?x'), '/v2/?x')
  assert.equal(toOriginForm('HTTPS://h:1'), '/')
  assert.equal(toOriginForm('http://h?x=/v2/'), '/?x=/v2/')
  for (const target of ['', '*', 'h:443', 'ftp://h/', 'v2/', 'http:///v2/']) {
    assert.throws(
      () => toOriginForm(target),
      (error) => error instanceof OciError && error.code === 'REQUEST_INVALID',
      target,
    )
  }
})

/** A registry of which nothing may be called. */
function untouchable(): never {
  return assert.fail('the registry was asked')
}
const noRegistry = {
  blobs: {
    stat: untouchable,
    locate: untouchable,
    sign: untouchable,
    open: untouchable,
    mount: untouchable,
    remove: untouchable,
  },
  uploads: {
    start: untouchable,
    status: untouchable,
    append: untouchable,
    close: untouchable,
    cancel: untouchable,
    put: untouchable,
  },
  manifests: { get: untouchable, put: untouchable, remove: untouchable },
  tags: { list: untouchable },
  referrers: { list: untouchable },
  catalog: { list: untouchable },
}

describe('permission', () => {
  for (const [verdict, status, code] of [
    ['denied', 403, 'DENIED'],
    ['unauthenticated', 401, 'UNAUTHORIZED'],
  ] as const) {
    test(`${verdict} is ${status} ${code}, before anything is read or written`, async () => {
      const asked: (readonly [Action, string | undefined])[] = []
      const authoriser: Authoriser = {
        may: (_principal, action, repository) => {
          asked.push([action, repository])
          return verdict
        },
      }
      const registry = await startRegistry(memory, {
        adapt: (dependencies) => ({ ...dependencies, authoriser, registry: noRegistry }),
      })
      try {
        for (const { methods, path, action } of routes) {
          for (const method of methods) {
            const answer = await registry.send(method, urlOf(path), { body: method === 'GET' ? '' : 'body' })
            assert.equal(answer.status, status, `${method} ${path}`)
            if (method !== 'HEAD') assert.deepEqual(codesOf(answer), [code])
            assert.deepEqual(asked.at(-1), [action, path.includes('*name') ? 'secret' : undefined])
          }
        }
      } finally {
        await registry.close()
      }
    })
  }

  test('a mount takes from no repository that the principal may not pull from: 202, with `from` and without', async () => {
    const authoriser: Authoriser = {
      may: (_principal, action, repository) => (repository === 'secret' && action === 'pull' ? 'denied' : 'allowed'),
    }
    const registry = await startRegistry(memory, { adapt: (dependencies) => ({ ...dependencies, authoriser }) })
    try {
      const blob = await pushBlob(registry, 'secret', Buffer.from('secret'))
      for (const from of ['&from=secret', '']) {
        const answer = await registry.send('POST', `/v2/mine/blobs/uploads/?mount=${blob}${from}`)
        assert.equal(answer.status, 202)
      }
      await pushBlob(registry, 'open', Buffer.from('secret'))
      assert.equal((await registry.send('POST', `/v2/mine/blobs/uploads/?mount=${blob}`)).status, 201)
    } finally {
      await registry.close()
    }
  })
})

describe('names that look like parts of the API', () => {
  const names = [
    'a/manifests/b',
    'manifests',
    'blobs',
    'blobs/uploads',
    'a/blobs/uploads',
    'tags/list',
    'a/tags/list',
    'referrers',
    'v2',
  ]
  for (const name of names) {
    test(`${name} is a repository like any other`, async () => {
      const registry: TestRegistry = await startRegistry(memory)
      try {
        const { digest: manifest } = await pushManifest(registry, name, 'latest')
        assert.equal((await registry.send('GET', `/v2/${name}/manifests/latest`)).status, 200)
        assert.deepEqual((await registry.send('GET', `/v2/${name}/tags/list`)).json, { name, tags: ['latest'] })
        assert.equal((await registry.send('GET', `/v2/${name}/referrers/${manifest}`)).status, 200)
        const { headers, status } = await registry.send('POST', `/v2/${name}/blobs/uploads`)
        assert.equal(status, 202)
        assert.equal((await registry.send('GET', headers.location ?? '')).status, 204)
        assert.equal((await registry.send('DELETE', headers.location ?? '')).status, 204)
      } finally {
        await registry.close()
      }
    })
  }
})
