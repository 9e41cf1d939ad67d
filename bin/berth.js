#!/usr/bin/env node
// Starts src/main.ts. It is JavaScript only because a Node.js too old to run TypeScript could not say so otherwise.
if (Number.parseInt(process.versions.node, 10) >= 24) {
  await import('../src/main.ts')
} else {
  process.stderr.write(
    `berth: this is Node.js ${process.versions.node}, Berth runs on 24 or newer: run "npm ci" in its folder, which brings one for "npm start" and "npx berth", or install it from nodejs.org\n`,
  )
  process.exitCode = 2
}
