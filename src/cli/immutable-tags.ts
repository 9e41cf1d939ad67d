/** The immutable tags as the configuration has them. */
import type { Config } from '../config/schema.ts'
import { createImmutableTags, type ImmutableTags } from '../registry/immutable.ts'

export function createConfiguredImmutableTags({ registry }: Config): ImmutableTags {
  return createImmutableTags(registry.immutableTags, 'registry.immutableTags')
}
