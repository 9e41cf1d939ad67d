#!/usr/bin/env node
// Starts src/main.ts. It is JavaScript only because a Node.js too old to run TypeScript could not say so otherwise.
if (Number.parseInt(process.versions.node, 10) >= 24) {
  const { enableCompileCache } = await import('node:module')
  const { fileURLToPath } = await import('node:url')
  // What a start would compile anew, in each of its processes: half of the time and a fifth of the memory. It lies with the code, so whoever may write
  // it may write that; where nobody may, nothing is kept.
  enableCompileCache(fileURLToPath(new URL('../node_modules/.cache/berth', import.meta.url)))
  await import('../src/main.ts')
} else {
  process.stderr.write(
    `berth: this is Node.js ${process.versions.node}, Berth runs on 24 or newer: run "npm ci" in its folder, which brings one for "npm start" and "npx berth", or install it from nodejs.org\n`,
  )
  process.exitCode = 2
}
