/** Reads the environment into settings: one variable for every option, and `<VARIABLE>_FILE` to take the value from a file (a mounted secret). */
import { listOptions } from './schema.ts'
import { describeReadFailure, type Problem, type Reading, type ReadText, type Setting } from './setting.ts'
import { didYouMean } from './suggest.ts'

export type Environment = Readonly<Record<string, string | undefined>>

/** Names the configuration file; it is no option, because the file cannot name itself. */
export const fileVariable = 'BERTH_CONFIG'

/** What Kubernetes sets in every container for a service called `berth` or `berth-…`, see "Discovering services" in its documentation. */
const serviceLink =
  /^BERTH(_[A-Z0-9_]+)?_(SERVICE_HOST|SERVICE_PORT(_[A-Z0-9_]+)?|PORT_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)$/
const serviceAddress = /^(tcp|udp|sctp):\/\//

/** Reads all `BERTH_…` variables; unknown ones are problems, as a misspelt variable would silently change nothing. */
export function readEnvironment(environment: Environment, readText: ReadText): Reading {
  const settings: Setting[] = []
  const problems: Problem[] = []
  const options = new Map(listOptions().map((row) => [row.variable, row.schema]))
  for (const [name, written] of Object.entries(environment)) {
    if (written === undefined || !name.startsWith('BERTH_') || name === fileVariable) continue
    const fromFile = options.has(name) || !name.endsWith('_FILE') ? undefined : name.slice(0, -'_FILE'.length)
    const option = options.get(fromFile ?? name)
    if (option === undefined) {
      if (isServiceLink(name, written)) continue
      problems.push({ where: name, message: `unknown variable${didYouMean(name, [...options.keys(), fileVariable])}` })
    } else if (serviceAddress.test(written)) {
      problems.push({ where: name, message: serviceLinkAdvice })
    } else if (fromFile === undefined) {
      settings.push({ option, where: name, written })
    } else if (environment[fromFile] === undefined) {
      try {
        settings.push({ option, where: name, written: readText(written).replace(/\r?\n$/, '') })
      } catch (error) {
        problems.push({ where: name, message: `cannot read ${JSON.stringify(written)}: ${describeReadFailure(error)}` })
      }
    } else {
      problems.push({ where: name, message: `${fromFile} is set as well; one of the two must go` })
    }
  }
  return { settings, problems }
}

function isServiceLink(name: string, written: string): boolean {
  return serviceLink.test(name) || (name.endsWith('_PORT') && serviceAddress.test(written))
}

const serviceLinkAdvice =
  'Kubernetes sets this variable for a service of that name; set "enableServiceLinks: false" in the pod, or rename the service'
