import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import manifest from '../../package.json' with { type: 'json' }
import { exitCodes } from '../../src/cli/command.ts'
import { commands } from '../../src/cli/commands.ts'
import { run } from './surroundings.ts'

test('help names every command and every exit code', async () => {
  for (const args of [['help'], ['--help'], ['-h']]) {
    const { code, out } = await run(args)
    assert.equal(code, 0)
    for (const { name, summary, isInternal } of commands) {
      if (isInternal === true) assert.ok(!out.includes(name))
      else assert.match(out, new RegExp(`^ {2}${name} +${summary}$`, 'm'))
    }
    for (const { code, meaning } of Object.values(exitCodes)) assert.ok(out.includes(`  ${code}  ${meaning}`))
  }
})

test('every command explains itself, asked in either way', async () => {
  for (const { name } of commands) {
    const asked = await run(['help', ...name.split(' ')])
    assert.deepEqual(asked, await run([...name.split(' '), '--help']))
    assert.equal(asked.code, 0)
    assert.ok(asked.out.startsWith(`Usage: berth ${name}`))
  }
  assert.match((await run(['help', 'serve'])).out, /^ {2}--config FILE {2}the configuration file/m)
})

test('version', async () => {
  for (const args of [['version'], ['--version']]) {
    const { code, out } = await run(args)
    assert.deepEqual([code, out], [0, `berth ${manifest.version} (Node.js ${process.version})\n`])
  }
})

for (const [args, expected] of [
  [['sreve'], 'unknown command "sreve"; did you mean serve?'],
  [['banana'], 'unknown command "banana"; see berth help'],
  [['confg', 'check'], 'unknown command "confg"; did you mean config?'],
  [['config'], '"config" takes check or print'],
  [['config', 'chekc'], '"config" takes check or print, not "chekc"; did you mean check?'],
  [['--config', 'x'], 'unknown option "--config"; see berth help'],
  [['help', 'sreve'], 'unknown command "sreve"; did you mean serve?'],
  [['serve', '--confg', 'x'], 'unknown option "--confg"; did you mean --config? (berth help serve)'],
  [['serve', '-p', '80'], 'unknown option "-p" (berth help serve)'],
  [['serve', '--config'], '--config needs a value: --config FILE (berth help serve)'],
  [['serve', '--config='], '--config needs a value: --config FILE (berth help serve)'],
  [['serve', '--config', '--x'], '--config needs a value: --config FILE (berth help serve)'],
  [['serve', '--config', 'a', '--config', 'b'], '--config is given twice (berth help serve)'],
  [['serve', 'now'], 'unexpected "now" (berth help serve)'],
  [['version', '\u001b[2J'], 'unexpected "\\u001b[2J" (berth help version)'],
] as const) {
  test(`berth ${JSON.stringify(args.join(' '))} is one clear line and exit code 2`, async () => {
    assert.deepEqual(await run(args), { code: 2, out: '', err: `berth: ${expected}\n` })
  })
}

test('without a command the help is shown, and the exit code says that nothing was done', async () => {
  const { code, err } = await run([])
  assert.equal(code, 2)
  assert.match(err, /^berth: no command is given\n\nBerth: a self-hosted registry/)
})

test('config check says that all is well, or everything that is not', async () => {
  assert.deepEqual(await run(['config', 'check', '--config', 'config/minimal.yaml']), {
    code: 0,
    out: 'The configuration is good (config/minimal.yaml, variables).\n',
    err: '',
  })
  const { code, err } = await run(['config', 'check'], { environment: { BERTH_NOPE: '', BERTH_LOG_LEVEL: 'loud' } })
  assert.equal(code, 2)
  assert.match(
    err,
    /^berth: The configuration has 2 problems:\n {2}BERTH_LOG_LEVEL: found "loud", .*\n {2}BERTH_NOPE: /,
  )
})

test('config print shows the values in use and where they come from', async () => {
  const { out } = await run(['config', 'print'], { environment: { BERTH_HTTP_PORT: '1' } })
  assert.match(out, /^http:\n {2}address: 127.0.0.1 # default\n {2}port: 1 # BERTH_HTTP_PORT$/m)
})

test('config print shows no secret', async () => {
  const environment = { BERTH_STORAGE_S3_ACCESS_KEY_ID: 'me', BERTH_STORAGE_S3_SECRET_ACCESS_KEY: 'hunter2' }
  const { out, err } = await run(['config', 'print'], { environment })
  assert.match(out, /^ {4}secretAccessKey: "not shown" # BERTH_STORAGE_S3_SECRET_ACCESS_KEY$/m)
  assert.ok(!(out + err).includes('hunter2'))
})

test('the process hands its arguments in and the exit code out', async () => {
  const launcher = fileURLToPath(new URL('../../bin/berth.js', import.meta.url))
  const start = (...args: string[]) => promisify(execFile)(process.execPath, [launcher, ...args])
  assert.match((await start('version')).stdout, /^berth \d/)
  await assert.rejects(start('nope'), { code: 2, stderr: /^berth: unknown command "nope"/ })
})
