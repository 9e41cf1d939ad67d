import assert from 'node:assert/strict'
import { existsSync, globSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { describe, test } from 'node:test'
import manifest from '../../package.json' with { type: 'json' }
import { findCommand, readGiven } from '../../src/cli/arguments.ts'
import { commands } from '../../src/cli/commands.ts'
import { loadConfig } from '../../src/config/load.ts'
import { listOptions } from '../../src/config/schema.ts'
import { generatedPages } from './generated-pages.ts'

const root = join(import.meta.dirname, '../..')
const textOf = (path: string) => readFileSync(join(root, path), 'utf8')
const documents = ['README.md', 'CHANGELOG.md', 'CONTRIBUTING.md', ...globSync('docs/**/*.md', { cwd: root })]

/** The fenced blocks of a language. */
function blocksOf(path: string, language: string): string[] {
  const fence = new RegExp(`^\`\`\`${language}\\n(.*?)^\`\`\`$`, 'gms')
  return [...textOf(path).matchAll(fence)].map(([, block = '']) => block)
}

/** What code spans and blocks of a document contain. */
function codeOf(path: string): string[] {
  const text = textOf(path)
  const spans = [...text.matchAll(/(?<!`)`([^`\n]+)`(?!`)/g)].map(([, code = '']) => code)
  return [...blocksOf(path, 'sh').flatMap((block) => block.split(/\n|&&/)), ...spans].map((code) => code.trim())
}

test('generated pages are what the code generates (npm run docs)', () => {
  for (const [path, render] of Object.entries(generatedPages)) assert.equal(textOf(path), render(), path)
})

for (const path of documents) {
  describe(path, () => {
    test('links lead to files that exist', () => {
      const targets = [...textOf(path).matchAll(/\]\(([^)#]+)[^)]*\)/g)].map(([, target = '']) => target)
      const missing = targets.filter(
        (target) => !/^https?:/.test(target) && !existsSync(join(root, dirname(path), target)),
      )
      assert.deepEqual(missing, [])
    })

    test('npm scripts exist', () => {
      const builtIn = new Set(['ci', 'install'])
      for (const code of codeOf(path)) {
        const [, script] = /^(?:[A-Z_]+=\S+ )*npm (?:run )?([a-z0-9:]+)/.exec(code) ?? []
        if (script !== undefined) assert.ok(builtIn.has(script) || Object.hasOwn(manifest.scripts, script), code)
      }
    })

    test('commands of berth exist with their options', () => {
      for (const code of codeOf(path)) {
        const [, words] = /^(?:npx )?berth ([a-z].*)$/.exec(code) ?? []
        if (words === undefined) continue
        const { command, rest } = findCommand(commands, words.split(' '))
        readGiven(command, rest)
      }
    })

    test('variables and options exist', () => {
      const known = new Set(listOptions().flatMap(({ variable }) => [variable, `${variable}_FILE`]))
      known.add('BERTH_CONFIG')
      for (const [variable] of textOf(path).matchAll(/\bBERTH_[A-Z0-9_]+/g)) assert.ok(known.has(variable), variable)
      const paths = new Set(listOptions().map((row) => row.path))
      const sections = new Set([...paths].map((one) => one.split('.')[0]))
      const named = codeOf(path).filter((code) => /^[a-z]+(\.[a-z][A-Za-z0-9]*)+$/.test(code))
      const options = named.filter((code) => sections.has(code.split('.')[0]) && !/\.(ts|md|yaml)$/.test(code))
      assert.deepEqual(
        options.filter((option) => !paths.has(option)),
        [],
      )
    })

    test('configurations load', () => {
      for (const block of blocksOf(path, 'yaml')) {
        if (/^(http|pulse|log|storage|registry|sweep|retention):/m.test(block)) {
          loadConfig({ environment: {}, file: path, readText: () => block })
        }
      }
    })
  })
}

test('the README gives a reason for every dependency, and for no other', () => {
  const section = textOf('README.md').split('## Dependencies')[1] ?? ''
  const rows = [...section.matchAll(/^\| ([^|]+) \| [^|]{5,} \|$/gm)].map(([, names = '']) => names.split(', '))
  const { dependencies, devDependencies, optionalDependencies } = manifest
  assert.deepEqual(
    rows.flat().sort(),
    Object.keys({ ...dependencies, ...devDependencies, ...optionalDependencies }).sort(),
  )
})

test('every runtime dependency is used', () => {
  const source = globSync('src/**/*.ts', { cwd: root }).map(textOf).join('\n')
  const unused = Object.keys(manifest.dependencies).filter((name) => !source.includes(`from '${name}'`))
  assert.deepEqual(unused, [])
})

test('every option is used: its name stands somewhere outside of its row', () => {
  const source = globSync('src/**/*.ts', { cwd: root, exclude: ['src/config/**'] })
    .map(textOf)
    .join('\n')
  const unused = listOptions().filter(({ keys }) => !new RegExp(`\\b${keys.at(-1)}\\b`).test(source))
  assert.deepEqual(
    unused.map(({ path }) => path),
    [],
  )
})
