import { signData } from '../../src/protocol/cms/index.ts'
import { signMachineInfo } from '../../src/protocol/ade/index.ts'
import { createFakeAppleCa } from '../../src/simulator/index.ts'
import { bytesOf, put } from '../load.ts'
import { CHECK_IN, COMMAND, type Speaker } from '../population.ts'
import type { AttackWork } from './attackers.ts'
import { doublingArrays, repeatedText, slowChain } from './bombs.ts'

const MEGABYTE = 1024 * 1024
const CLOSE = { Connection: 'close' }
const NONE = Buffer.alloc(0)

/** One kind of attack, and what an honest person does beside it apart from a device that polls. */
export interface Attack {
  name: string
  kind: AttackWork['kind']
  /** From how many addresses; one unless it needs more. */
  addresses?: number
  beside?: 'large messages' | 'sign-ins'
  /** Over TLS, the honest device with a new connection for each poll, and with so many files that the server may open. */
  tls?: { openFiles: number }
}

/** What an attacker knows. */
export interface Stage {
  linkPath: string
  adePath: string
  /** A device of the attacker's own, properly enrolled. */
  own: Speaker
  userNames: readonly string[]
}

/** All of them. */
export async function attacks(stage: Stage): Promise<Attack[]> {
  return [
    { name: 'A.1 headers that are slow to read', kind: { is: 'requests', requests: slowHeaders() } },
    {
      name: 'A.2 binary lists that grow',
      kind: { is: 'requests', requests: await growingLists(stage) },
    },
    { name: 'A.3 certificates slow to check', kind: { is: 'requests', requests: await slowChains(stage) } },
    {
      name: 'A.4 bodies held before their end',
      kind: { is: 'held', heads: heldHeads(stage), size: 16 * MEGABYTE, most: 100 },
      beside: 'large messages',
    },
    {
      name: 'A.4 unsigned lists of 12 MB',
      kind: { is: 'requests', requests: [largeList()] },
      beside: 'large messages',
    },
    {
      name: 'A.5 handshakes that never finish',
      kind: { is: 'idle', hello: NONE, most: 1_000 },
      tls: { openFiles: 1_024 },
    },
    {
      name: 'A.6 pages, links, untrusted phones',
      kind: { is: 'forms', bodies: passwords(stage, 4), looks: await looks(stage) },
      addresses: 4,
    },
    ...[4, 64].map((addresses): Attack => ({
      name: `A.7 passwords from ${addresses} networks`,
      kind: { is: 'forms', bodies: passwords(stage, 400), looks: [bytesOf('GET /enroll', CLOSE, NONE)] },
      addresses,
      beside: 'sign-ins',
    })),
  ]
}

function slowHeaders(): Buffer[] {
  const blanks = ' '.repeat(60_000)
  const typed = (type: string) =>
    bytesOf('PUT /mdm/checkin', { ...CLOSE, 'Content-Type': type }, Buffer.from('x'))
  const get = (headers: Record<string, string>) => bytesOf('GET /enroll', { ...CLOSE, ...headers }, NONE)
  return [
    typed(`a/b${';=='.repeat(40)}x`),
    typed(`a/b${';=='.repeat(15_000)}x`),
    typed(`a/b${blanks}x`),
    typed(`a/b;${' ;'.repeat(30_000)}x`),
    typed(`a/b; c="${'\\'.repeat(60_000)}`),
    typed(`a/b; c=${blanks}`),
    get({ Cookie: 'a=;'.repeat(20_000) }),
    get({ Cookie: `a=${blanks}b` }),
    get({ 'Accept-Language': `de${';q='.repeat(20_000)}` }),
    get({ Accept: `a/b${blanks}x` }),
    get({ Authorization: `Basic ${blanks}x` }),
    get({ 'If-Match': `"a"${blanks}"` }),
    get({ 'User-Agent': `Mozilla/5.0 (${'(;'.repeat(30_000)}` }),
    get({ 'X-Forwarded-For': '1,'.repeat(30_000) }),
    get({ Host: 'a.'.repeat(30_000) }),
    get({ Origin: `https://${blanks}x` }),
  ]
}

async function growingLists({ own, adePath }: Stage): Promise<Buffer[]> {
  const polls = [doublingArrays, repeatedText].map((make) => make({ Status: 'Idle', UDID: own.id }))
  const results = [doublingArrays, repeatedText].map((make) =>
    make({ Status: 'Acknowledged', UDID: own.id, CommandUUID: 'none' }),
  )
  const checkins = [doublingArrays, repeatedText].map((make) =>
    make({ MessageType: 'TokenUpdate', UDID: own.id, Topic: own.topic }),
  )
  const unsigned = [
    ...[...polls, ...results].map((body) =>
      bytesOf('PUT /mdm/connect', { ...CLOSE, 'Content-Type': COMMAND }, body),
    ),
    ...checkins.map((body) => bytesOf('PUT /mdm/checkin', { ...CLOSE, 'Content-Type': CHECK_IN }, body)),
  ]
  const signature = async (content: Buffer) =>
    (await signData({ content, detached: true, signer: own.identity })).toString('base64')
  const signed = await Promise.all([
    ...[...polls, ...results].map(async (body) => put('/mdm/connect', COMMAND, await signature(body), body)),
    ...checkins.map(async (body) => put('/mdm/checkin', CHECK_IN, await signature(body), body)),
  ])
  const texts = {
    SERIAL: 'F9GROW00000',
    UDID: '00008101-000000000000001E',
    PRODUCT: 'iPhone15,2',
    VERSION: '22F76',
  }
  const phones = await Promise.all(
    [doublingArrays, repeatedText].map(async (make) =>
      bytesOf(
        `POST ${adePath}`,
        { ...CLOSE, 'Content-Type': 'application/pkcs7-signature' },
        await signData({ content: make(texts), signer: own.identity }),
      ),
    ),
  )
  return [...unsigned, ...signed.map(closing), ...phones]
}

/** The same request, after which the server is to close. */
function closing(request: Buffer): Buffer {
  const line = request.indexOf('\r\n') + 2
  return Buffer.concat([
    request.subarray(0, line),
    Buffer.from('Connection: close\r\n'),
    request.subarray(line),
  ])
}

async function slowChains({ adePath }: Stage): Promise<Buffer[]> {
  const type = { ...CLOSE, 'Content-Type': 'application/pkcs7-signature' }
  const messages = await Promise.all(Array.from({ length: 8 }, () => slowChain()))
  return messages.map((message, n) =>
    bytesOf(`POST ${n % 2 === 0 ? '/enroll/ade/guess' : adePath}`, type, message),
  )
}

function heldHeads({ adePath }: Stage): Buffer[] {
  const lines: [string, string][] = [
    ['PUT /mdm/connect', COMMAND],
    ['PUT /mdm/checkin', CHECK_IN],
    ['POST /scep?operation=PKIOperation', 'application/x-pki-message'],
    [`POST ${adePath}`, 'application/pkcs7-signature'],
    ['POST /enroll', 'application/x-www-form-urlencoded'],
    ['POST /api/v1/commands', 'application/json'],
  ]
  const length = { 'Content-Length': String(16 * MEGABYTE) }
  return lines.map(([line, type]) => {
    const fields = Object.entries({ Host: 'bench', 'Content-Type': type, ...length })
    const head = fields.map(([name, value]) => `${name}: ${value}\r\n`).join('')
    return Buffer.from(`${line} HTTP/1.1\r\n${head}\r\n`)
  })
}

function largeList(): Buffer {
  const app = '<dict><key>Identifier</key><string>com.example.application</string></dict>'
  const list = `<array>${app.repeat((12 * MEGABYTE) / app.length)}</array>`
  const body = `<plist version="1.0"><dict><key>Status</key><string>Acknowledged</string><key>CommandUUID</key><string>none</string><key>UDID</key><string>00008101-000000000000001E</string><key>InstalledApplicationList</key>${list}</dict></plist>`
  return bytesOf('PUT /mdm/connect', { ...CLOSE, 'Content-Type': COMMAND }, Buffer.from(body))
}

async function looks({ linkPath, adePath }: Stage): Promise<Buffer[]> {
  const ca = await createFakeAppleCa(new Date())
  const untrusted = await signMachineInfo(
    {
      SERIAL: 'F9STRANGER0',
      UDID: '00008101-000000000000001E',
      PRODUCT: 'iPhone15,2',
      VERSION: '22F76',
      OS_VERSION: '18.5',
      LANGUAGE: 'de',
    },
    await ca.deviceIdentity('F9STRANGER0'),
    { chain: ca.chain },
  )
  return [
    bytesOf('GET /enroll', CLOSE, NONE),
    bytesOf(`GET ${linkPath}`, CLOSE, NONE),
    bytesOf(`POST ${adePath}`, { ...CLOSE, 'Content-Type': 'application/pkcs7-signature' }, untrusted),
  ]
}

/** Of users that there are, and of as many that there are not. */
function passwords({ userNames }: Stage, many: number): string[] {
  return Array.from({ length: many }, (_, n) => {
    const name = n % 2 === 0 ? userNames[(n >> 1) % userNames.length]! : `nobody-${n}`
    return `user_name=${name}&password=wrong-${n}`
  })
}
