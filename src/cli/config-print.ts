/** `berth config print`: every value in use, and where it comes from. */
import { renderEffective } from '../config/page.ts'
import type { Given, Surroundings } from './command.ts'
import { loadGivenConfig } from './config.ts'

export function printConfig(given: Given, surroundings: Surroundings): void {
  surroundings.out(renderEffective(loadGivenConfig(given, surroundings).settingOf))
}
