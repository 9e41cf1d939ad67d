/** The options of the scrub. */
import { duration, onOff, section, size } from './option.ts'

export const scrub = section(
  'The scrub: reads everything that is stored and reports what is damaged or was left behind.',
  {
    enabled: onOff({
      default: false,
      reason: 'Whether `serve` scrubs by itself, only looking; `berth scrub` does it by hand, and repairs.',
    }),
    intervalMs: duration({
      min: '1m',
      max: '366d',
      default: '30d',
      reason:
        'From the end of one scrub to the start of the next; the store remembers, so restarts and replicas count as one.',
    }),
    rateBytes: size({
      min: '1B',
      max: '1TiB',
      default: '50MiB',
      reason:
        'How many bytes of blobs are read a second: a third of a hard disk, so that pulls do not wait; 4 TiB take a day.',
    }),
  },
)
