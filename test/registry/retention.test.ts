import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { parseName, parseReference, parseTag, type RepositoryName } from '../../src/oci/name.ts'
import { createImmutableTags } from '../../src/registry/immutable.ts'
import { manifestKey, tagKey } from '../../src/registry/layout.ts'
import { untaggedKey } from '../../src/registry/layout-untagged.ts'
import type { Decision } from '../../src/registry/retention/context.ts'
import { createRetention } from '../../src/registry/retention/retention.ts'
import { compileRules, type RetentionRule } from '../../src/registry/retention/rules.ts'
import { createSweep } from '../../src/registry/sweep/sweep.ts'
import {
  createWorld,
  elsewhere,
  hour,
  imageOf,
  indexOf,
  ociManifest,
  pushBlob,
  pushImage,
  pushManifest,
  repo,
  sha256,
  type World,
} from './harness.ts'

const at = parseReference
const day = 24 * hour
const week = { repositories: '**', untaggedMs: 7 * day }

/** Applies rules once; tells what was decided. */
async function apply(world: World, rules: readonly RetentionRule[], mode: 'remove' | 'look' = 'remove') {
  const decisions: Decision[] = []
  const retention = createRetention(world.context, compileRules(rules, 'rules'))
  const counts = await retention.run(mode, { onDecision: (decision) => decisions.push(decision) })
  return { counts, decisions }
}

async function sweep(world: World, rules: readonly RetentionRule[]): Promise<void> {
  const findRules = compileRules(rules, 'rules')
  world.clock.now += 11 * 60_000
  await createSweep({
    ...world.context,
    tracksUntagged: (repository) => findRules(repository)?.untagged !== undefined,
    sweepLimits: { garbageAgeMs: 600_000, uploadIdleMs: day, copyWindowMs: 600_000, batchSize: 10 },
    monotonicMs: () => world.clock.now,
  }).run('sweep')
}

async function tagsOf(world: World, repository: RepositoryName = repo): Promise<readonly string[]> {
  return (await world.registry.tags.list(repository, { limit: 1000 })).items
}

async function isThere(world: World, digest: string): Promise<boolean> {
  return world.registry.manifests.get(repo, at(digest)).then(
    () => true,
    () => false,
  )
}

/** An image of its own under each tag, pushed an hour apart. */
async function pushHourly(world: World, tags: readonly string[], repository: RepositoryName = repo): Promise<void> {
  for (const tag of tags) {
    world.clock.now += hour
    await pushImage(world.registry, repository, tag, ['layer'], { annotations: { tag } })
  }
}

const image = (name: string): Buffer => imageOf('config', ['layer'], { annotations: { name } })

function referrerOf(subject: Buffer, name: string): Buffer {
  const descriptor = { mediaType: ociManifest, digest: sha256(subject), size: subject.length }
  return imageOf('config', [], { artifactType: 'test/signature', subject: descriptor, annotations: { name } })
}

async function worldWith(...manifests: readonly Buffer[]): Promise<World> {
  const world = createWorld()
  for (const text of ['config', 'layer']) await pushBlob(world.registry, repo, text)
  for (const bytes of manifests) await pushManifest(world.registry, repo, sha256(bytes), bytes)
  return world
}

describe('tags', () => {
  it('stay where no rule covers them', async () => {
    const world = createWorld()
    await pushHourly(world, ['a', 'b'])
    const { counts, decisions } = await apply(world, [{ repositories: 'team/other', keepLast: 1 }])
    assert.deepEqual([counts.repositories, decisions, await tagsOf(world)], [0, [], ['a', 'b']])
  })

  it('keepLast: all but the ones pushed last go, whatever their names', async () => {
    const world = createWorld()
    await pushHourly(world, ['z', 'b', 'm', 'a'])
    const { counts } = await apply(world, [{ repositories: '**', keepLast: 2 }])
    assert.deepEqual([counts.tags, await tagsOf(world)], [2, ['a', 'm']])
  })

  it('maxAge: the older ones go, by the time they were pushed last', async () => {
    const world = createWorld()
    await pushHourly(world, ['a', 'b', 'c'])
    await pushManifest(world.registry, repo, 'a', image('moved'))
    world.clock.now += 10 * hour
    await apply(world, [{ repositories: '**', maxAgeMs: 11 * hour }])
    assert.deepEqual(await tagsOf(world), ['a', 'c'])
  })

  it('both: what is old goes, but never one of those pushed last', async () => {
    const world = createWorld()
    await pushHourly(world, ['a', 'b', 'c'])
    world.clock.now += 30 * day
    const rules = [{ repositories: '**', keepLast: 2, maxAgeMs: 7 * day }]
    const { decisions } = await apply(world, rules)
    assert.deepEqual(await tagsOf(world), ['b', 'c'])
    const removed = decisions.find(({ verdict }) => verdict === 'remove')
    assert.equal(removed?.reason, 'pushed 30d ago, more than 7d, not one of the 2 pushed last')
    assert.equal(removed?.rule, 'rules[0]')
  })

  it('belong to the first rule that matches, and are counted there', async () => {
    const world = createWorld()
    await pushHourly(world, ['release-1', 'pr-1', 'pr-2', 'x', 'y'])
    await apply(world, [
      { repositories: '**', tags: 'release-*' },
      { repositories: '**', tags: 'pr-*', keepLast: 1 },
      { repositories: '**', keepLast: 1 },
    ])
    assert.deepEqual(await tagsOf(world), ['pr-2', 'release-1', 'y'])
  })

  it('are counted in each repository by itself', async () => {
    const world = createWorld()
    await pushHourly(world, ['a', 'b'])
    await pushHourly(world, ['a', 'b'], elsewhere)
    await apply(world, [{ repositories: 'team/*', keepLast: 1 }])
    assert.deepEqual([await tagsOf(world), await tagsOf(world, elsewhere)], [['b'], ['b']])
  })

  it('that are immutable stay and are not counted', async () => {
    const immutableTags = createImmutableTags([{ repositories: '**', tags: 'v*' }], 'immutable')
    const world = createWorld({}, { immutableTags })
    await pushHourly(world, ['a', 'b', 'v1', 'v2'])
    const { decisions } = await apply(world, [{ repositories: '**', keepLast: 1 }])
    assert.deepEqual(await tagsOf(world), ['b', 'v1', 'v2'])
    assert.match(decisions.find(({ what }) => what.kind === 'tag' && what.tag === 'v1')?.rule ?? '', /^immutable\[0\]/)
  })

  it('of signatures are not counted, stay with their manifest, and go after it', async () => {
    const world = createWorld()
    await pushHourly(world, ['a', 'b'])
    const { digest } = await world.registry.manifests.get(repo, at('a'))
    const signature = `${digest.replace(':', '-')}.sig`
    await pushManifest(world.registry, repo, signature, image('signature'))
    const rules = [{ repositories: '**', keepLast: 2, untaggedMs: 7 * day }]
    world.clock.now += 30 * day
    await apply(world, rules)
    assert.deepEqual(await tagsOf(world), ['a', 'b', signature])
    await world.registry.manifests.remove(repo, at(digest))
    await apply(world, rules)
    assert.deepEqual(await tagsOf(world), ['b'])
  })

  it('that are pushed again while a run decides stay', async () => {
    const world = createWorld()
    await pushHourly(world, ['a', 'b'])
    world.intercept = async ({ method, key }) => {
      if (method !== 'read' || !key.endsWith('/a')) return
      world.intercept = undefined
      world.clock.now += 1
      await pushManifest(world.other, repo, 'a', image('new'))
    }
    const { counts } = await apply(world, [{ repositories: '**', keepLast: 1 }])
    assert.deepEqual([counts.tags, await tagsOf(world)], [0, ['a', 'b']])
  })

  it('go by the rule as it is written: a model in three lines', async () => {
    const ages = fc.uniqueArray(fc.integer({ min: 0, max: 100 }), { minLength: 1, maxLength: 12 })
    const limits = fc.record({ keepLast: fc.option(fc.integer({ min: 1, max: 6 })), maxAge: fc.option(fc.nat(100)) })
    await fc.assert(
      fc.asyncProperty(ages, limits, async (hours, { keepLast, maxAge }) => {
        const world = createWorld()
        const start = world.clock.now
        for (const age of hours.toSorted((a, b) => b - a)) {
          world.clock.now = start + (100 - age) * hour
          await pushImage(world.registry, repo, `t${age}`, ['layer'])
        }
        world.clock.now = start + 100 * hour
        const rule = {
          repositories: '**',
          ...(keepLast !== null && { keepLast }),
          ...(maxAge !== null && { maxAgeMs: maxAge * hour }),
        }
        await apply(world, [rule])
        const newest = new Set(hours.toSorted((a, b) => a - b).slice(0, keepLast ?? 0))
        const isOld = (age: number): boolean => maxAge === null || age >= maxAge
        const stay = hours.filter((age) => newest.has(age) || (keepLast === null && maxAge === null) || !isOld(age))
        const left = stay.length === 0 ? [] : await tagsOf(world)
        assert.deepEqual([...left].sort(), stay.map((age) => `t${age}`).sort())
      }),
      { numRuns: 100 },
    )
  })
})

describe('untagged manifests', () => {
  it('go once they have been seen untagged for the time of the rule, and not before', async () => {
    const world = await worldWith(image('a'))
    world.clock.now += 30 * day
    const first = await apply(world, [week])
    assert.deepEqual([first.counts.manifests, first.counts.waiting], [0, 1])
    world.clock.now += 6 * day
    assert.equal((await apply(world, [week])).counts.waiting, 1)
    world.clock.now += day
    const { counts, decisions } = await apply(world, [week])
    assert.deepEqual([counts.manifests, decisions[0]?.reason], [1, 'untagged for 7d, more than 7d'])
    await sweep(world, [week])
    assert.deepEqual(await world.keys('named/'), [])
  })

  it('stay for ever where no rule says otherwise', async () => {
    const world = await worldWith(image('a'))
    for (let i = 0; i < 3; i++) {
      world.clock.now += 30 * day
      await apply(world, [{ repositories: '**', keepLast: 1 }])
    }
    assert.ok(await isThere(world, sha256(image('a'))))
  })

  it('count from when they lost their tag, as the sweep has seen it', async () => {
    const world = await worldWith(image('a'), image('b'))
    await pushManifest(world.registry, repo, 'latest', image('a'))
    world.clock.now += 30 * day
    await pushManifest(world.registry, repo, 'latest', image('b'))
    await sweep(world, [week])
    world.clock.now += 7 * day
    const { counts } = await apply(world, [week])
    assert.equal(counts.manifests, 1)
    assert.ok(await isThere(world, 'latest'))
  })

  it('count anew when they had a tag in between', async () => {
    const world = await worldWith(image('a'), image('b'))
    await apply(world, [week])
    world.clock.now += 6 * day
    await pushManifest(world.registry, repo, 'back', image('a'))
    await pushManifest(world.registry, repo, 'keeps', image('b'))
    world.clock.now += day
    await world.registry.manifests.remove(repo, at('back'))
    assert.equal((await apply(world, [week])).counts.manifests, 0, 'the hint is newer than the note')
    await sweep(world, [week])
    world.clock.now += 6 * day
    assert.equal((await apply(world, [week])).counts.manifests, 0)
    world.clock.now += day
    assert.equal((await apply(world, [week])).counts.manifests, 1)
  })

  it('do not count from a time when there were no rules', async () => {
    const world = await worldWith(image('a'), image('b'))
    await apply(world, [week])
    world.clock.now += day
    await pushManifest(world.registry, repo, 'latest', image('a'))
    await pushManifest(world.registry, repo, 'keeps', image('b'))
    world.clock.now += 30 * day
    await world.registry.manifests.remove(repo, at('latest'))
    await sweep(world, [])
    assert.equal((await apply(world, [week])).counts.manifests, 0)
  })

  it('stay while an index names them, and go after it', async () => {
    const index = indexOf(image('a'))
    const world = await worldWith(image('a'), index)
    await pushManifest(world.registry, repo, 'multi', index)
    for (let i = 0; i < 3; i++) {
      world.clock.now += 10 * day
      assert.deepEqual(
        (await apply(world, [week])).decisions.filter(({ verdict }) => verdict !== 'keep'),
        [],
      )
    }
    await world.registry.manifests.remove(repo, at('multi'))
    for (let i = 0; i < 3; i++) {
      await sweep(world, [week])
      world.clock.now += 8 * day
      await apply(world, [week])
    }
    assert.deepEqual(await world.keys('manifests/'), [])
  })

  it('that refer to a manifest stay with it and go with it, at once, and theirs with them', async () => {
    const subject = image('subject')
    const signature = referrerOf(subject, 'signature')
    const ofSignature = referrerOf(signature, 'of the signature')
    const kept = referrerOf(subject, 'kept')
    const world = await worldWith(subject, signature, ofSignature)
    await pushManifest(world.registry, repo, 'v1', subject)
    await pushManifest(world.registry, repo, 'kept', kept)
    for (let i = 0; i < 3; i++) {
      world.clock.now += 10 * day
      assert.equal((await apply(world, [week])).counts.waiting, 0)
    }
    await world.registry.manifests.remove(repo, at('v1'))
    await sweep(world, [week])
    world.clock.now += 8 * day
    const look = await apply(world, [week], 'look')
    const { counts, decisions } = await apply(world, [week])
    assert.equal(counts.manifests, 3)
    const removed = (each: Decision): boolean => each.verdict === 'remove'
    assert.deepEqual(look.decisions.filter(removed), decisions.filter(removed))
    assert.ok(decisions.some(({ reason }) => reason === `its subject ${sha256(subject)} goes`))
    assert.deepEqual(await tagsOf(world), ['kept'])
    assert.ok(await isThere(world, sha256(kept)))
  })

  it('whose subject was deleted by a client go as any other', async () => {
    const subject = image('subject')
    const signature = referrerOf(subject, 'signature')
    const world = await worldWith(subject, signature)
    await pushManifest(world.registry, repo, 'v1', subject)
    await world.registry.manifests.remove(repo, at(sha256(subject)))
    assert.equal((await apply(world, [week])).counts.waiting, 1)
    world.clock.now += 8 * day
    assert.equal((await apply(world, [week])).counts.manifests, 1)
    assert.equal(await isThere(world, sha256(signature)), false)
  })

  it('that get a tag between the decision and the mark stay', async () => {
    const world = await worldWith(image('a'))
    await apply(world, [week])
    world.clock.now += 8 * day
    world.intercept = async ({ method, key }) => {
      if (method !== 'write' || !key.includes('/!')) return
      world.intercept = undefined
      await pushManifest(world.other, repo, 'v1', image('a'))
    }
    assert.equal((await apply(world, [week])).counts.manifests, 0)
    assert.ok(await isThere(world, 'v1'))
    assert.deepEqual(
      (await world.keys('named/')).filter((key) => key.includes('!0')),
      [],
    )
  })

  it('are found whatever lies beside them in the listings', async () => {
    const world = createWorld()
    for (const text of ['config', 'layer']) await pushBlob(world.registry, repo, text)
    const images = Array.from({ length: 30 }, (_, n) => image(`image ${n}`))
    for (const [n, bytes] of images.entries()) {
      await pushManifest(world.registry, repo, n % 3 === 0 ? `v${n}` : sha256(bytes), bytes)
    }
    assert.equal((await apply(world, [week])).counts.waiting, 20)
    assert.deepEqual((await world.keys('named/')).filter((key) => key.endsWith('untagged')).length, 20)
    world.clock.now += 8 * day
    assert.equal((await apply(world, [week])).counts.manifests, 20)
    assert.equal((await world.keys('manifests/')).length, 10)
  })
})

describe('a run that only looks', () => {
  it('changes nothing and tells of every tag and untagged manifest', async () => {
    const world = await worldWith(image('untagged'))
    await pushHourly(world, ['a', 'b'])
    await apply(world, [week])
    world.clock.now += 8 * day
    const before = await world.keys()
    const { counts, decisions } = await apply(world, [{ ...week, keepLast: 1 }], 'look')
    assert.deepEqual(await world.keys(), before)
    assert.deepEqual(counts, { repositories: 1, tags: 1, manifests: 1, waiting: 0, unreadable: 0, failed: 0 })
    assert.deepEqual(
      decisions.map(({ verdict, what }) => `${verdict} ${what.kind === 'tag' ? what.tag : 'manifest'}`),
      ['remove a', 'keep b', 'remove manifest'],
    )
  })

  it('notes nothing', async () => {
    const world = await worldWith(image('a'))
    await apply(world, [week], 'look')
    assert.ok(!(await world.keys('named/')).includes(untaggedKey(repo, sha256(image('a')))))
  })
})

describe('a record that cannot be read', () => {
  it('stops nobody, is counted, and stays with what it may concern', async () => {
    const world = await worldWith(image('a'), image('b'))
    await pushHourly(world, ['old', 'torn', 'new'])
    await apply(world, [week])
    await world.driver.write(tagKey(repo, parseTag('torn')), Buffer.from('{"dig'))
    await world.driver.write(manifestKey(repo, sha256(image('a'))), Buffer.from('{"dig'))
    world.clock.now += 8 * day
    await pushManifest(world.registry, repo, 'new', image('moved'))
    const { counts } = await apply(world, [{ ...week, keepLast: 1 }])
    assert.deepEqual([counts.tags, counts.manifests, counts.unreadable], [1, 1, 3])
    assert.deepEqual(await tagsOf(world), ['new', 'torn'])
  })
})

describe('several runs at once', () => {
  it('do what one does', async () => {
    const world = await worldWith(...['a', 'b', 'c'].map(image))
    await pushHourly(world, ['x', 'y', 'z'])
    const rules = [{ ...week, keepLast: 1 }]
    await apply(world, rules)
    world.clock.now += 8 * day
    await Promise.all([1, 2, 3].map(() => apply(world, rules)))
    await sweep(world, rules)
    assert.deepEqual(await tagsOf(world), ['z'])
    for (const name of ['a', 'b', 'c']) assert.equal(await isThere(world, sha256(image(name))), false)
    assert.deepEqual(
      (await world.keys('named/')).filter((key) => key.includes('!0')),
      [],
    )
  })

  it('end when they are told to', async () => {
    const world = createWorld()
    await pushHourly(world, ['a', 'b'])
    const retention = createRetention(world.context, compileRules([{ repositories: '**', keepLast: 1 }], 'rules'))
    await assert.rejects(retention.run('remove', { signal: AbortSignal.abort() }))
    assert.deepEqual(await tagsOf(world), ['a', 'b'])
  })
})

it('a repository name is matched whole', async () => {
  const world = createWorld()
  const other = parseName('team/app2')
  await pushHourly(world, ['a', 'b'], other)
  await apply(world, [{ repositories: 'team/app', keepLast: 1 }])
  assert.deepEqual(await tagsOf(world, other), ['a', 'b'])
})

describe('a run of retention', () => {
  it('tells at which of the repositories with rules it is, and how far through them', async () => {
    const world = createWorld()
    const other = parseName('no/rules')
    for (const repository of [elsewhere, other, repo]) await pushHourly(world, ['a', 'b'], repository)
    const told: { readonly repository: RepositoryName; readonly fraction: number }[] = []
    const rules = [repo, elsewhere].map((repositories) => ({ repositories, untaggedMs: day }))
    await createRetention(world.context, compileRules(rules, 'rules')).run('look', {
      report: (repository, fraction) => told.push({ repository, fraction }),
    })
    const ruled = [elsewhere, repo].sort()
    assert.deepEqual(
      told.map(({ repository }) => repository),
      [ruled[0], ruled[0], ruled[1], ruled[1]],
    )
    const [first, within = 0, second, last = 0] = told.map(({ fraction }) => fraction)
    assert.deepEqual([first, second], [0, 0.5])
    assert.ok(within > 0 && within <= 0.5 && last > 0.5 && last <= 1)
  })
})
