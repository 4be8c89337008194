import { signMachineInfo } from '../src/protocol/ade/index.ts'
import { generateEcKey } from '../src/protocol/x509/index.ts'
import { addAdeServer, assigned, assignPolicy, syncEnd, type Apple } from './apple.ts'
import { bytesOf } from './load.ts'
import { keyPool } from './population.ts'
import type { ServerProcess } from './server-process.ts'

/** Serial numbers for the Setup Assistant posts; more than connections, so that two posts of one rarely meet. */
const POSTS = 256
/** Serial numbers of the phones of the first day. */
const PHONES = 1_000

/** The serial numbers that Apple has for the server, and the address at which their phones enrol. */
export interface PowerOn {
  url: string
  /** Posts of MachineInfo, each of another serial number. */
  posts: readonly Buffer[]
  /** Serial numbers of which nobody has posted anything. */
  phones: readonly string[]
}

/** Gives a server an ADE server with serial numbers and a policy for them. */
export async function preparePowerOn(server: ServerProcess, apple: Apple): Promise<PowerOn> {
  const serials = Array.from({ length: POSTS + PHONES }, (_, n) => `F9BENCH${String(n).padStart(5, '0')}`)
  const id = await addAdeServer(server, apple, 'Bench', serials)
  await syncEnd(server, id)
  await assignPolicy(server, id, 'Bench phones')
  await assigned(apple, serials)
  const url = String(apple.cloud.activate(serials[0] ?? '')?.content['url'])
  const posts = await makePosts(apple, serials.slice(0, POSTS), new URL(url).pathname)
  return { url, posts, phones: serials.slice(POSTS) }
}

/** Half of the devices have RSA keys, half keys on P-256. */
async function makePosts({ ca }: Apple, serials: readonly string[], path: string): Promise<Buffer[]> {
  const ec = await generateEcKey()
  return Promise.all(
    serials.map(async (SERIAL, n) => {
      const identity = await ca.deviceIdentity(SERIAL, { key: n % 2 === 0 ? ec : await keyPool.next() })
      const message = await signMachineInfo(
        {
          SERIAL,
          UDID: `00008101-${SERIAL}`,
          PRODUCT: 'iPhone15,2',
          VERSION: '22F76',
          OS_VERSION: '18.5',
          LANGUAGE: 'de_CH',
          MDM_CAN_REQUEST_SOFTWARE_UPDATE: true,
        },
        identity,
        { chain: ca.chain },
      )
      return bytesOf(`POST ${path}`, { 'Content-Type': 'application/pkcs7-signature' }, message)
    }),
  )
}
