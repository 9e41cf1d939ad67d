/** Rules of the protocols, each switched off in the source itself: the proof must notice every one. */
import type { SimulationOptions } from './simulation.ts'

export interface Mutant {
  /** The rule that is off. */
  readonly name: string
  /** The file below `src/registry/` that is changed, and how; throws when the source no longer has what is to be changed. */
  readonly change?: { readonly file: string; readonly apply: (source: string) => string }
  readonly defect?: SimulationOptions['defect']
  /** On which store. */
  readonly removal?: SimulationOptions['removal']
  /** Scenarios that are searched: part of their names. */
  readonly scenarios: readonly string[]
}

/** Replaces a text that must stand there exactly once. */
function replace(from: string, to: string): (source: string) => string {
  return (source) => {
    const parts = source.split(from)
    if (parts.length !== 2) throw new Error(`the mutant does not fit the source any more: ${from}`)
    return parts.join(to)
  }
}

function both(first: (source: string) => string, second: (source: string) => string): (source: string) => string {
  return (source) => second(first(source))
}

/** Moves the text from `start` up to `end` behind the text that ends with `target`. */
function move(start: string, end: string, target: string): (source: string) => string {
  return (source) => {
    const from = source.indexOf(start)
    const to = source.indexOf(end, from)
    const at = source.indexOf(target, to)
    if (from < 0 || to < 0 || at < 0) throw new Error(`the mutant does not fit the source any more: ${start}`)
    const behind = at + target.length
    return source.slice(0, from) + source.slice(to, behind) + source.slice(from, to) + source.slice(behind)
  }
}

export const mutants: readonly Mutant[] = [
  {
    name: 'the fence: promote reads and writes instead of moving',
    defect: 'promote is no fence',
    scenarios: ['pushes are taken back, then a collector', 'an upload that slept is closed'],
  },
  {
    name: 'what was found ahead counts for its own record only',
    change: { file: 'ahead.ts', apply: replace('current === record ? pending : undefined', 'pending') },
    scenarios: ['GET by tag'],
  },
  {
    name: 'the push record',
    change: {
      file: 'push.ts',
      apply: both(
        replace(
          'driver.write(pushManifestKey(repository, id), record, { ...cancel, durable: false, toPromote: true }),',
          '',
        ),
        replace(
          "(await driver.promote(pushManifestKey(repository, id), manifestKey(repository, digest), cancel)) === 'done'",
          "(await driver.write(manifestKey(repository, digest), record, cancel)) === 'written'",
        ),
      ),
    },
    scenarios: ['manifest push | '],
  },
  {
    name: 'the mark',
    change: {
      file: 'links.ts',
      apply: both(
        replace("|| seen.marks === 'old'", ''),
        replace("return seen.marks === 'none' ? 'sound' : 'contested'", "return 'sound'"),
      ),
    },
    scenarios: ['HEAD | two collectors', 'manifest push | collector'],
  },
  {
    name: 'the second look',
    change: {
      file: 'sweep/collect.ts',
      apply: replace(
        'await (const second of lookAtUses(sweep, [...marks.keys()], cancel))',
        '(const second of [candidates.map((each) => ({ candidate: each, verdict: undefined, uses: [], segments: [] }))])',
      ),
    },
    scenarios: ['manifest push | collector', 'HEAD | two collectors'],
  },
  {
    name: 'pushes before manifests',
    change: {
      file: 'sweep/names.ts',
      apply: move(
        '  for await (const page of listPages(driver, repositoryPushesPrefix(repository), cancel)) {',
        '  for await (const page of listPages(driver, manifestsPrefix(repository), cancel)) {',
        "else note(blobs, 'manifest')\n    }\n  }\n",
      ),
    },
    scenarios: ['a collector has looked once | manifest push'],
  },
  {
    name: 'own mark only',
    change: {
      file: 'sweep/collect.ts',
      apply: replace(
        'await driver.remove(mark, { ...cancel, durable: false })',
        'for (const { key } of (await driver.list(dataPrefix(candidate.id), { limit: 100 })).entries) if (isDataMark(key)) await driver.remove(key, cancel)',
      ),
    },
    scenarios: ['a collector has looked twice | manifest push'],
  },
  {
    name: 'the session is taken back before its claims',
    change: {
      file: 'sweep/uploads.ts',
      apply: move(
        "  if (mode === 'sweep') await driver.remove(sessionKey(id), cancel)\n",
        '  const { candidate, claims, entries } = await findDigests(sweep, known, cancel)\n',
        "  if (mode === 'sweep') for (const key of entries) await driver.remove(key, cancel)\n",
      ),
    },
    scenarios: ['an upload that slept is closed'],
  },
  {
    name: 'the digests are kept before the claims go',
    change: {
      file: 'sweep/uploads.ts',
      apply: replace('keepDigests(sweep, candidate, cancel)', 'Promise.resolve(true)'),
    },
    scenarios: ['about to remove the claims of two bodies'],
  },
  {
    name: 'all digests are kept, not only those that are linked',
    change: {
      file: 'sweep/collect.ts',
      apply: replace('const digests = [...candidate.digests]', 'const digests = uses.map((use) => use.digest)'),
    },
    scenarios: ['a mount by a second digest'],
  },
  {
    name: 'the session is read again after the close entry',
    change: { file: 'close.ts', apply: replace('if (!(await isSessionOpen(context, id, cancel)))', 'if (false)') },
    scenarios: ['an upload that slept is closed'],
  },
  {
    name: 'the link is read again when its bytes are not sound',
    change: {
      file: 'links.ts',
      apply: replace('if (again?.id === link.id) return soundness', 'return soundness'),
    },
    scenarios: ['a collector has looked once, then HEAD'],
  },
  {
    name: 'the manifest is looked at after the tag',
    change: {
      file: 'push.ts',
      apply: replace("return manifest?.push === id ? 'done' : 'again'", "return 'done'"),
    },
    scenarios: ['DELETE of M | M is pushed again under another tag'],
  },
  {
    name: 'remove only if unchanged',
    defect: 'removes unconditionally',
    scenarios: ['DELETE of M | its tag moves to N', 'upload of a digest that the repository has | collector'],
  },
  {
    name: 'the renewal is written before the look',
    change: {
      file: 'links.ts',
      apply: replace(
        'await context.driver.write(key, Buffer.alloc(0), cancel)\n    seen = await look()',
        'await context.driver.write(key, Buffer.alloc(0), cancel)',
      ),
    },
    scenarios: ['HEAD | two collectors'],
  },
  {
    name: 'links stay where a removal looks first',
    change: {
      file: 'sweep/collect.ts',
      apply: replace("driver.removal === 'exact' ? uses : []", 'uses'),
    },
    removal: 'looks first',
    scenarios: ['upload, then push | another upload'],
  },
  {
    name: 'a link that a mount made stays where a removal looks first',
    change: {
      file: 'links.ts',
      apply: replace("if (context.driver.removal !== 'exact') return { link, isSound: false }", ''),
    },
    removal: 'looks first',
    scenarios: ['mount | upload into the same repository'],
  },
  {
    name: 'a link that a mount made stays while there are bytes',
    change: {
      file: 'links.ts',
      apply: replace('if (await hasBytes(context, link, {})) {', 'if (false) {'),
    },
    scenarios: ['mount | upload into the same repository'],
  },
  {
    name: 'a mount that gives up tells the sweep',
    change: {
      file: 'links.ts',
      apply: replace('await tellSweep(context, link)\n', ''),
    },
    scenarios: ['two mounts, one from anywhere'],
  },
  {
    name: 'over is kept for the copy window',
    change: {
      file: 'sweep/pushes.ts',
      apply: replace("if (driver.promotion === 'copy') {", 'if (false) {'),
    },
    scenarios: ['slow copy: push', 'slow copy: a push of an index that slept'],
  },
  {
    name: 'over counts as a push in flight for a DELETE',
    change: {
      file: 'named.ts',
      apply: replace(
        'if (entries.length > 0) inPush =',
        "if (entries.some(({ key }) => !key.endsWith('/over'))) inPush =",
      ),
    },
    scenarios: ['slow copy: a push of an index that slept'],
  },
  {
    name: 'a renewal by somebody else is read before the look',
    change: {
      file: 'links.ts',
      apply: both(
        replace("  const renewed = intent === 'renew' ? await readRenewal(context, link, cancel) : 0\n", ''),
        replace(
          "  let seen = await look()\n  if (intent === 'renew'",
          "  let seen = await look()\n  const renewed = intent === 'renew' ? await readRenewal(context, link, cancel) : 0\n  if (intent === 'renew'",
        ),
      ),
    },
    scenarios: ['HEAD, then push | upload that replaces the link | collector'],
  },
  {
    name: 'an entry that was pushed again is looked at again',
    change: {
      file: 'push.ts',
      apply: replace(
        "if ((await pushNew(context, attempt, cancel)) === 'again') await takeBack(context, attempt, cancel)",
        'await putManifest(context, repository, { reference: { kind: "digest", digest }, tags: [], mediaType, bytes, by }, cancel); return true',
      ),
    },
    scenarios: ['an index names M'],
  },
  {
    name: 'the entry of an index is read again after its marks',
    change: {
      file: 'push.ts',
      apply: replace(
        "if (marks === 'none') return (await readManifest(context, repository, digest, cancel)) !== undefined",
        "if (marks === 'none') return true",
      ),
    },
    scenarios: ['an index names M'],
  },
  {
    name: 'a mark on a manifest is judged by a manifest that was read after it',
    change: {
      file: 'sweep/hints.ts',
      apply: both(
        replace('  const manifest = await readManifest(sweep, repository, digest, cancel)\n', ''),
        replace(
          '  let [isPushing, isNamed, hasNote] =',
          '  const manifest = await readManifest(sweep, repository, digest, cancel)\n  let [isPushing, isNamed, hasNote] =',
        ),
      ),
    },
    scenarios: ['a sweep has read that M is gone'],
  },
  {
    name: 'a tag says for which incarnation it was written',
    change: {
      file: 'push.ts',
      apply: replace('before.incarnation === manifest.push &&', ''),
    },
    scenarios: ['DELETE of M, killed before its tag is gone'],
  },
  {
    name: 'a scrub: the mark on what nobody seems to link',
    change: {
      file: 'scrub/unlinked.ts',
      apply: replace('() => driver.write(mark, Buffer.alloc(0), write)', 'async () => mark'),
    },
    scenarios: ['scrub of what nobody links'],
  },
  {
    name: 'a scrub: the second look at what nobody seems to link',
    change: {
      file: 'scrub/unlinked.ts',
      apply: replace(
        "if (walked.kind === 'link') unlinked.delete(walked.link.record.id)",
        "if (walked.kind === 'link') continue",
      ),
    },
    scenarios: ['scrub of what nobody links'],
  },
  {
    name: 'a scrub: the mark on damaged bytes',
    change: {
      file: 'scrub/damage.ts',
      apply: replace("if (found.what === 'bytes') {", "if (found.what === 'bytes' && id === '') {"),
    },
    scenarios: ['scrub of a damaged blob'],
  },
  {
    name: 'an immutable tag is written only where there is none',
    change: { file: 'tag-writes.ts', apply: replace('{ ...cancel, ifAbsent: true }', 'cancel') },
    scenarios: ['immutable: two pushes'],
  },
  {
    name: 'marks are looked at after a re-tag',
    change: {
      file: 'push.ts',
      apply: replace('const held = await isHeld(context, repository, manifest, cancel)', 'const held = true'),
    },
    scenarios: ['retention of an untagged M | M gets'],
  },
  {
    name: 'retention looks again after its mark',
    change: {
      file: 'removal.ts',
      apply: replace('const second = await findKeeper()', 'const second: Keeper | undefined = undefined'),
    },
    scenarios: ['retention of an untagged M | M gets'],
  },
  {
    name: 'the entry of an immutable tag is looked at after the tag',
    change: {
      file: 'tag-writes.ts',
      apply: replace('if ((await driver.stat(entry, cancel)) !== undefined)', 'if (true)'),
    },
    scenarios: ['immutable: a push that slept is swept'],
  },
]
