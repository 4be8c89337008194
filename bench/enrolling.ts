import { randomBytes, type KeyObject } from 'node:crypto'
import { readCertificates, signData } from '../src/protocol/cms/index.ts'
import { writePlist } from '../src/protocol/plist/index.ts'
import { buildRequest } from '../src/protocol/scep/index.ts'
import {
  createCsr,
  createLeaf,
  parseCertificate,
  type Certificate,
  type Identity,
} from '../src/protocol/x509/index.ts'
import { bytesOf, openConnection, put, type Connection } from './load.ts'
import { CHECK_IN, COMMAND, keyPool } from './population.ts'

const DAY_MS = 86_400_000
const NONE = Buffer.alloc(0)

/** Throw-away signers of certificate requests, one for each key: the bench shall measure the server, not the phones. */
const signers = new Map<KeyObject, Promise<Identity>>()
let enrolled = 0

/**
 * Enrols device after device over one connection until `until`, each with every request of a real one: profile,
 * GetCACaps, GetCACert, PKIOperation, Authenticate, TokenUpdate and the first poll. Of what the server answers it reads what
 * it needs and trusts it, since both servers are driven from the same two processors as it. Gives the milliseconds that
 * each took; one that was refused is a failure and has no time.
 */
export async function enrolUntil(
  port: number,
  linkPath: string,
  until: number,
): Promise<{ latencies: number[]; failures: number }> {
  const connection = openConnection(port)
  const latencies: number[] = []
  let failures = 0
  while (performance.now() < until) {
    const before = performance.now()
    try {
      await enrolOne(connection, linkPath)
      latencies.push(performance.now() - before)
    } catch (error) {
      if (!(error instanceof Refused)) throw error
      failures++
    }
  }
  connection.close()
  return { latencies, failures }
}

/** The server has not answered with 200. */
class Refused extends Error {}

async function enrolOne(connection: Connection, linkPath: string): Promise<void> {
  const profile = (await ask(connection, bytesOf(`GET ${linkPath}`, {}, NONE))).toString('latin1')
  const challenge = valueOf(profile, 'Challenge')
  const topic = valueOf(profile, 'Topic')
  await ask(connection, bytesOf('GET /scep?operation=GetCACaps', {}, NONE))
  const ca = authorityOf(await ask(connection, bytesOf('GET /scep?operation=GetCACert', {}, NONE)))
  const key = await keyPool.next()
  const identity = { key, certificate: await certify(connection, { key, ca, challenge }) }
  const number = String(enrolled++).padStart(8, '0')
  const UDID = `00008130-BE9C${randomBytes(3).toString('hex').toUpperCase()}${number}`
  const send = async (path: string, type: string, message: Record<string, string | Buffer>) => {
    const body = Buffer.from(writePlist({ UDID, ...message }))
    const signature = await signData({ content: body, detached: true, signer: identity })
    await ask(connection, put(path, type, signature.toString('base64'), body))
  }
  await send('/mdm/checkin', CHECK_IN, {
    MessageType: 'Authenticate',
    Topic: topic,
    SerialNumber: `F7${number}`,
    DeviceName: 'iPhone',
    Model: 'MQ003ZD',
    ModelName: 'iPhone',
    ProductName: 'iPhone15,2',
    OSVersion: '18.5',
    BuildVersion: '22F76',
    IMEI: `3512345${number}`,
  })
  await send('/mdm/checkin', CHECK_IN, {
    MessageType: 'TokenUpdate',
    Topic: topic,
    Token: randomBytes(32),
    PushMagic: `B6E2B3A0-${number}`,
    UnlockToken: Buffer.alloc(1024, 9),
  })
  await send('/mdm/connect', COMMAND, { Status: 'Idle' })
}

async function certify(
  connection: Connection,
  { key, ca, challenge }: { key: KeyObject; ca: Certificate; challenge: string },
): Promise<Certificate> {
  const signer = await signerOf(key)
  const request = await buildRequest({
    type: 'PKCSReq',
    ca,
    signer,
    transactionId: randomBytes(20).toString('hex').toUpperCase(),
    content: await createCsr({ subject: [['CN', 'bench']], key, challengePassword: challenge }),
  })
  const type = { 'Content-Type': 'application/x-pki-message' }
  const answer = await ask(connection, bytesOf('POST /scep?operation=PKIOperation', type, request))
  // Beside the enveloped one both servers put the certificate among those of the signature, in the place before the CA's.
  const [issued] = readCertificates(answer)
  if (issued === undefined || ca.der.equals(issued)) throw new Error('no certificate was issued')
  return parseCertificate(Buffer.from(issued))
}

function signerOf(key: KeyObject): Promise<Identity> {
  const now = Date.now()
  let signer = signers.get(key)
  if (signer === undefined) {
    const dates = { notBefore: new Date(now), notAfter: new Date(now + 365 * DAY_MS) }
    signer = createLeaf({
      subject: [['CN', 'MDM SCEP SIGNER']],
      serialNumber: Buffer.of(1),
      key,
      ...dates,
    })
    signers.set(key, signer)
  }
  return signer
}

let authority: Certificate | undefined

function authorityOf(der: Buffer): Certificate {
  if (authority?.der.equals(der) !== true) authority = parseCertificate(Buffer.from(der))
  return authority
}

async function ask(connection: Connection, request: Buffer): Promise<Buffer> {
  const { status, body } = await connection.send(request)
  if (status === 200) return body
  const [line] = request.toString('latin1', 0, 80).split('\r')
  throw new Refused(`${line} was answered with ${status}`)
}

function valueOf(profile: string, key: string): string {
  const value = new RegExp(`<key>${key}</key>\\s*<string>([^<]+)</string>`).exec(profile)?.[1]
  if (value === undefined) throw new Error(`the profile has no ${key}`)
  return value
}
