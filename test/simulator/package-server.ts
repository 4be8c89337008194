import { createHash } from 'node:crypto'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { writePlist, type WritablePlist } from '../../src/protocol/plist/index.ts'

/** What the server of packages does wrong, if anything. */
export interface PackageTrouble {
  /** Status of the manifest. */
  manifest?: number
  /** Ranges are not known. */
  noRanges?: true
  /** Other bytes than were promised. */
  forged?: true
  /** Fewer bytes than HEAD tells. */
  short?: true
}

/** A server with one enterprise app; `keys` change the metadata, `asset` the package's entry in the manifest. */
export async function startPackageServer() {
  const bytes = Buffer.alloc(25_000, 'package ')
  const world = {
    url: '',
    bytes,
    sha256: createHash('sha256').update(bytes).digest('hex'),
    trouble: {} as PackageTrouble,
    keys: {} as Record<string, WritablePlist>,
    asset: {} as Record<string, WritablePlist>,
    requests: [] as string[],
    reset(): void {
      Object.assign(world, { trouble: {}, keys: {}, asset: {} })
      world.requests.length = 0
    },
    close: () => new Promise((resolve) => server.close(resolve)),
  }
  const server = createServer((request, response) => {
    const { method = '', url = '', headers } = request
    world.requests.push(`${method} ${url}`)
    response.setHeader('connection', 'close')
    if (url === '/manifest') {
      response.statusCode = world.trouble.manifest ?? 200
      return response.end(writePlist(manifest()))
    }
    const body = world.trouble.forged === true ? Buffer.alloc(bytes.length) : bytes
    const size = body.length
    if (method === 'HEAD') return response.setHeader('content-length', size).end()
    const range = /^bytes=(\d+)-(\d+)$/.exec(headers.range ?? '')
    if (range === null || world.trouble.noRanges === true) return response.end(body)
    const from = Number(range[1])
    const end = Math.min(Number(range[2]) + 1, world.trouble.short === true ? size - 1 : size)
    const total = world.trouble.short === true ? size - 1 : size
    response.writeHead(206, { 'content-range': `bytes ${from}-${end - 1}/${total}` })
    return response.end(body.subarray(from, end))
  })

  function manifest(): WritablePlist {
    const asset = { kind: 'software-package', url: `${world.url}/app.ipa`, ...world.asset }
    const metadata = {
      'bundle-identifier': 'ch.example.house',
      'bundle-version': '2.1',
      kind: 'software',
      title: 'House',
      ...world.keys,
    }
    return { items: [{ assets: [asset], metadata }] }
  }

  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  world.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  return world
}

/** Hashes of pieces of that size. */
export function piecesOf(bytes: Buffer, algorithm: 'md5' | 'sha256', size: number): string[] {
  return Array.from({ length: Math.ceil(bytes.length / size) }, (_, index) =>
    createHash(algorithm)
      .update(bytes.subarray(index * size, (index + 1) * size))
      .digest('hex'),
  )
}
