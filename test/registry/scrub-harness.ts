/** A scrub of a test's world, and hands to damage its store. */
import { linkKey, linksPrefix } from '../../src/registry/layout.ts'
import { decodeLink, type LinkRecord } from '../../src/registry/records.ts'
import type { Finding, ScrubMode } from '../../src/registry/scrub/context.ts'
import { createScrub, type ScrubCounts, type ScrubOptions } from '../../src/registry/scrub/scrub.ts'
import { createSweep } from '../../src/registry/sweep/sweep.ts'
import type { Digest } from '../../src/oci/digest.ts'
import type { RepositoryName } from '../../src/oci/name.ts'
import { hour, type World } from './harness.ts'

const minute = hour / 60

export function dependenciesOf(world: World) {
  const sweepLimits = {
    garbageAgeMs: 10 * minute,
    uploadIdleMs: 24 * hour,
    copyWindowMs: 10 * minute,
    batchSize: 3,
  }
  return { ...world.context, sweepLimits, monotonicMs: () => world.clock.now }
}

export interface Report {
  readonly findings: readonly Finding[]
  /** `kind outcome` of each. */
  readonly told: readonly string[]
  readonly counts: ScrubCounts
}

export async function scrub(world: World, mode: ScrubMode = 'look', options: ScrubOptions = {}): Promise<Report> {
  const findings: Finding[] = []
  const onFinding = (finding: Finding): void => void findings.push(finding)
  const counts = await createScrub(dependenciesOf(world)).run(mode, { ...options, onFinding })
  return { findings, told: findings.map(({ kind, outcome }) => `${kind}: ${outcome}`), counts }
}

export async function sweep(world: World): Promise<void> {
  await createSweep(dependenciesOf(world)).run('sweep')
}

/** Time passes until nothing is young, and the sweep has looked at everything. */
export async function settle(world: World): Promise<void> {
  for (let i = 0; i < 2; i++) {
    world.clock.now += 25 * hour
    await sweep(world)
  }
}

export async function linkOf(world: World, repository: RepositoryName, digest: Digest): Promise<LinkRecord> {
  const stored = await world.driver.read(linkKey(digest, repository))
  if (stored === undefined) throw new Error(`no link in ${linksPrefix(digest)}`)
  return decodeLink(stored.bytes)
}

/** Puts other bytes in the place of those under a key, as a disk that lies does. */
export async function damage(world: World, key: string, change: (bytes: Buffer) => Buffer): Promise<void> {
  const stored = await world.driver.read(key)
  if (stored === undefined) throw new Error(`there is no ${key}`)
  await world.driver.write(key, change(stored.bytes))
}

export function flip(bytes: Buffer): Buffer {
  const changed = Buffer.from(bytes)
  changed[0] = (changed[0] ?? 0) ^ 1
  return changed
}
