/** Brings what is pulled into the servers. */
import { digestOf } from '../clients/layout.ts'
import { type Content, copyAnswers, image, push, pushReferrers, writeFiles } from './content.ts'
import { listPaths, writeListsOfBerth, writeListsOfDistribution } from './lists.ts'
import type { Server, ServerName } from './servers.ts'

/** `needs` says what beside the blobs and the manifest. */
export async function fill(servers: readonly Server[], content: Content, needs: ReadonlySet<string>): Promise<void> {
  const find = (name: ServerName): Server | undefined => servers.find((server) => server.name === name)
  const [berth, distribution, nginx] = [find('berth'), find('docker-registry'), find('nginx')]
  const filling = [berth, distribution].map((server) => server && push(server, content))
  await Promise.all([...filling, nginx && writeFiles(nginx, content)])
  const copied: string[] = []
  if (berth !== undefined && needs.has('lists')) {
    writeListsOfBerth(berth.folder)
    copied.push(listPaths.firstTags, listPaths.firstRepositories)
  }
  if (distribution !== undefined && needs.has('lists')) writeListsOfDistribution(distribution.folder)
  if (berth !== undefined && needs.has('referrers')) {
    await pushReferrers(berth, content)
    copied.push(`/v2/${image}/referrers/${digestOf(content.manifest)}`)
  }
  if (berth !== undefined && nginx !== undefined) await copyAnswers(berth, nginx, copied)
  for (const server of servers) await server.forget()
}
