/** The memory of many uploads at once. */
import { startBerth } from '../../clients/berth.ts'
import { s3Environment } from '../../s3/settings.ts'
import { readMemory, watchMemory } from '../memory.ts'
import { mebibyte, type Place } from './place.ts'
import { pushTo } from './transfers.ts'

const allowedMebibytes = 900

/** The most that all processes of Berth had in memory meanwhile. */
export async function measureCrowd(place: Place, uploads: number): Promise<void> {
  const env = { ...s3Environment(place.server, place.bucket), BERTH_LOG_LEVEL: 'warn' }
  await using started = new AsyncDisposableStack()
  const berth = started.adopt(await startBerth({ env }), (one) => one.stop())
  const idle = (await readMemory(berth.pid)).map((one) => Math.round(one / mebibyte))
  const stop = watchMemory(berth.pid, 50)
  const speed = await pushTo(berth, place)(uploads)
  const { bytes, each } = await stop()
  const [total = 0, ...parts] = [bytes, ...each].map((one) => Math.round(one / mebibyte))
  const memory = `at most ${total} MiB in memory (${parts.join(' + ')}; idle ${idle.join(' + ')})`
  const verdict = `${allowedMebibytes} allowed: ${total < allowedMebibytes ? 'holds' : 'DOES NOT HOLD'}`
  console.log(`\n${uploads} uploads at once: ${speed.toFixed(0)} MiB/s, ${memory}; ${verdict}`)
}
