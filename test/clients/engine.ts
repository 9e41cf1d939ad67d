/**
 * A Docker Engine of a test's own, with everything it keeps in one folder. It must run inside the sandbox that `.ci/run` makes (own network,
 * mount and process namespaces): on the host it would change routes and firewall, and ask the internet for what is missing.
 */
import { copyFile, mkdir, readFile, writeFile } from 'node:fs/promises'
import { networkInterfaces } from 'node:os'
import { join } from 'node:path'
import { attempt, run, startDaemon, waitUntilReady } from './process.ts'

export interface Engine {
  /** Runs the docker command line and returns what it printed. */
  readonly docker: (...args: string[]) => Promise<string>
  /** Removes every image, and what builds have kept of them. */
  readonly forgetImages: () => Promise<void>
  /** The environment of a docker command line that speaks to this engine. */
  readonly env: Readonly<Record<string, string>>
  /** The socket of the containerd below it. */
  readonly containerdSocket: string
  readonly output: () => string
  readonly stop: () => Promise<void>
}

/** `features` are those of the engine's configuration, e.g. `containerd-snapshotter` for its other store of images. */
export async function startEngine(folder: string, features: Readonly<Record<string, boolean>> = {}): Promise<Engine> {
  assertOnlyLoopback()
  const socket = join(folder, 'docker.sock')
  const config = join(folder, 'daemon.json')
  await mkdir(folder, { recursive: true })
  await writeFile(config, JSON.stringify({ features }))
  const daemon = startDaemon('dockerd', [
    `--config-file=${config}`,
    `--data-root=${join(folder, 'data')}`,
    `--exec-root=${join(folder, 'exec')}`,
    `--pidfile=${join(folder, 'pid')}`,
    `--host=unix://${socket}`,
  ])
  const env = { DOCKER_HOST: `unix://${socket}`, DOCKER_CONFIG: join(folder, 'config'), HOME: folder }
  await waitUntilReady('dockerd', daemon, async () => (await attempt('docker', ['info'], { env })).code === 0)
  const docker = (...args: string[]): Promise<string> => run('docker', args, { env })
  return {
    docker,
    forgetImages: async () => {
      const images = await docker('image', 'ls', '--quiet', '--no-trunc')
      if (images !== '') await docker('image', 'rm', '--force', ...new Set(images.split('\n')))
      await docker('image', 'prune', '--all', '--force')
      await docker('builder', 'prune', '--all', '--force')
    },
    env,
    containerdSocket: join(folder, 'exec', 'containerd', 'containerd.sock'),
    output: daemon.output,
    stop: async () => {
      await daemon.stop()
      await unmountBelow(folder)
    },
  }
}

/** The engine leaves mounts behind, e.g. the network of `--network=none`; what is mounted cannot be removed. */
export async function unmountBelow(folder: string): Promise<void> {
  const mounts = (await readFile('/proc/self/mounts', 'utf8')).split('\n').map((line) => line.split(' ')[1] ?? '')
  for (const mount of mounts.filter((path) => path.startsWith(`${folder}/`)).toReversed()) {
    await attempt('umount', ['--lazy', mount])
  }
}

/** A network with anything but `lo` is the host's: refuse it. */
function assertOnlyLoopback(): void {
  const others = Object.keys(networkInterfaces()).filter((name) => name !== 'lo')
  if (others.length > 0) {
    throw new Error(
      `an engine runs only in a network namespace of its own (see .ci/run), not beside ${others.join(', ')}`,
    )
  }
}

/** A folder to build an image from: busybox, files that do not compress, and a command that says `greeting`. */
export async function createBuildContext(folder: string, greeting: string, files: readonly Buffer[]): Promise<string> {
  await mkdir(folder, { recursive: true })
  await copyFile('/bin/busybox', join(folder, 'busybox'))
  for (const [number, bytes] of files.entries()) await writeFile(join(folder, `file-${number}`), bytes)
  const lines = [
    'FROM scratch',
    'COPY busybox /bin/busybox',
    'RUN ["/bin/busybox", "--install", "-s", "/bin"]',
    ...files.map((_, number) => `COPY file-${number} /file-${number}`),
    `CMD ["echo", "${greeting}"]`,
    '',
  ]
  await writeFile(join(folder, 'Dockerfile'), lines.join('\n'))
  return folder
}
