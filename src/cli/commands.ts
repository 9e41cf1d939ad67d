/** All commands: what the help says of each, and where it is. A command is loaded when it runs: the processes of a server run one each. */
import { findCommand } from './arguments.ts'
import { type Command, configOption } from './command.ts'
import { renderCommandHelp, renderHelp } from './help.ts'
import { version } from './version.ts'

/** In the order of the help. */
export const commands: readonly Command[] = [
  {
    name: 'serve',
    summary: 'start the registry',
    options: configOption,
    run: async (...given) => (await import('./serve.ts')).serve(...given),
  },
  {
    name: 'gc',
    summary: 'free what nothing needs any more, once; servers go on meanwhile',
    options: {
      ...configOption,
      'dry-run': { reason: 'change nothing, say what would be removed' },
    },
    run: async (...given) => (await import('./gc.ts')).gc(...given),
  },
  {
    name: 'retention',
    summary: 'apply the retention rules, once; servers go on meanwhile',
    options: {
      ...configOption,
      'dry-run': { reason: 'change nothing, say of every tag and untagged manifest what the rules decide, and why' },
    },
    run: async (...given) => (await import('./retention.ts')).retention(...given),
  },
  {
    name: 'scrub',
    summary: 'read everything that is stored and report what is damaged or was left behind; servers go on meanwhile',
    options: {
      ...configOption,
      repair: {
        reason: 'mend what is found; what is damaged is put aside, so that the next push of it brings it anew',
      },
      'delete-damaged': { reason: 'do what --repair does, and delete what is damaged' },
      rate: { value: 'SIZE', reason: 'how much to read a second, like 50MiB; without it scrub.rateBytes' },
      json: { reason: 'print a line of JSON for each finding, and one at the end' },
      from: { value: 'POSITION', reason: 'go on where an earlier run was stopped; it has printed the position' },
    },
    run: async (...given) => (await import('./scrub.ts')).scrub(...given),
  },
  {
    name: 'storage check',
    summary:
      'try everything that Berth needs of the store, say what holds, and remove it again; servers go on meanwhile',
    options: configOption,
    run: async (...given) => (await import('./storage-check.ts')).checkStorage(...given),
  },
  {
    name: 'sweeper',
    summary: 'sweep for a server that started this',
    isInternal: true,
    options: { ...configOption, low: { reason: 'take a share of a processor that others keep busy' } },
    run: async (...given) => (await import('./sweeper.ts')).sweeper(...given),
  },
  {
    name: 'worker',
    summary: 'answer requests for a server that started this',
    isInternal: true,
    options: configOption,
    run: async (...given) => (await import('./worker.ts')).worker(...given),
  },
  {
    name: 'config check',
    summary: 'say everything that is wrong with the configuration',
    options: configOption,
    run: async (...given) => (await import('./config.ts')).checkConfig(...given),
  },
  {
    name: 'config print',
    summary: 'print every value in use, and where it comes from',
    options: configOption,
    run: async (...given) => (await import('./config-print.ts')).printConfig(...given),
  },
  {
    name: 'version',
    summary: 'print the version of Berth and of Node.js',
    options: {},
    run: (_given, { out }) => out(`berth ${version} (Node.js ${process.version})\n`),
  },
  {
    name: 'help',
    summary: 'explain Berth, or one command',
    options: {},
    words: '[COMMAND]',
    run: ({ words }, { out }) => {
      out(words.length === 0 ? renderHelp(commands) : renderCommandHelp(findCommand(commands, words).command))
    },
  },
]
