/** Writes the generated pages: `npm run docs`. */
import { mkdirSync, writeFileSync } from 'node:fs'
import { dirname } from 'node:path'
import { fileURLToPath } from 'node:url'
import { generatedPages } from './generated-pages.ts'

for (const [path, render] of Object.entries(generatedPages)) {
  const target = fileURLToPath(new URL(`../../${path}`, import.meta.url))
  mkdirSync(dirname(target), { recursive: true })
  writeFileSync(target, render())
}
