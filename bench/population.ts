import { generateRsaKey } from '../src/protocol/x509/index.ts'
import type { Identity } from '../src/protocol/x509/index.ts'
import { signData } from '../src/protocol/cms/index.ts'
import { writePlist } from '../src/protocol/plist/index.ts'
import {
  createApnsCertificates,
  type ApnsCertificates,
  createDevice,
  createDeviceHttp,
  createKeyPool,
  createRandom,
  inventDevice,
  type Device,
  type DeviceHttp,
} from '../src/simulator/index.ts'
import { put } from './load.ts'
import type { ServerProcess } from './server-process.ts'

const KEYS = 8
/** Media types of what devices send. */
export const CHECK_IN = 'application/x-apple-aspen-mdm-checkin'
export const COMMAND = 'application/x-apple-aspen-mdm; charset=UTF-8'

/** Keys that all fake devices share: telling devices apart is the certificate's work. */
export const keyPool = createKeyPool(KEYS, await Promise.all(Array.from({ length: KEYS }, generateRsaKey)))

/** Calls the operator API: an object goes as JSON, text as PEM, bytes as they are. */
export async function api<T>(
  server: ServerProcess,
  method: string,
  path: string,
  body?: object | string | Buffer,
): Promise<T> {
  const isRaw = typeof body === 'string' || Buffer.isBuffer(body)
  const response = await fetch(`http://127.0.0.1:${server.port}/api/v1${path}`, {
    method,
    headers: {
      authorization: `Bearer ${server.token ?? ''}`,
      ...(body !== undefined && { 'content-type': typeOf(body) }),
    },
    ...(body !== undefined && { body: isRaw ? new Uint8Array(Buffer.from(body)) : JSON.stringify(body) }),
  })
  const answer = await response.text()
  if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${answer}`)
  const isJson = response.headers.get('content-type')?.startsWith('application/json') === true
  return (isJson ? JSON.parse(answer) : answer) as T
}

function typeOf(body: object | string): string {
  if (Buffer.isBuffer(body)) return 'application/pkcs7-mime'
  return typeof body === 'string' ? 'application/x-pem-file' : 'application/json'
}

/** Gives a new server a push certificate and an enrollment link of very many uses. */
export async function prepare(
  server: ServerProcess,
  given?: ApnsCertificates,
): Promise<{ linkPath: string; topic: string }> {
  const certificates = given ?? (await createApnsCertificates(new Date()))
  const topic = 'com.apple.mgmt.External.be9c0000-0000-4000-8000-000000000001'
  const push = await certificates.pushCertificate(topic)
  await api(server, 'PUT', '/push-certificates', push.certificate + push.key)
  const link = await api<{ url: string }>(server, 'POST', '/enrollment-links', { uses: 100_000 })
  return { linkPath: new URL(link.url).pathname, topic }
}

let invented = 0

/** A fake device that is not enrolled yet. */
function newDevice(http: DeviceHttp): Device {
  const random = createRandom(`bench-${invented++}`)
  return createDevice({ facts: inventDevice(random), http, random, keys: keyPool })
}

/** A device as the load generator needs it: who it is and how its messages are signed. */
export interface Speaker {
  id: string
  topic: string
  identity: Identity
}

/** Enrols devices through a link and gives what speaks for them. */
export async function enrol(server: ServerProcess, path: string, count: number): Promise<Speaker[]> {
  const http = createDeviceHttp()
  const speakers: Speaker[] = []
  for (let at = 0; at < count; at += 16) {
    const devices = Array.from({ length: Math.min(16, count - at) }, () => newDevice(http))
    await Promise.all(
      devices.map(async (device) => {
        const outcome = await device.enroll({ url: `http://127.0.0.1:${server.port}${path}` })
        if (!outcome.enrolled) throw new Error(`${outcome.step}: ${outcome.reason}`)
        await device.poll()
        const identity = device.identity()
        const profile = device.profile()
        if (identity && profile) speakers.push({ id: device.facts.udid, topic: profile.topic, identity })
      }),
    )
  }
  http.close()
  return speakers
}

async function signed(speaker: Speaker, path: string, type: string, message: object): Promise<Buffer> {
  const body = Buffer.from(writePlist(message as never))
  const signature = await signData({ content: body, detached: true, signer: speaker.identity })
  return put(path, type, signature.toString('base64'), body)
}

/** The bytes of an Idle poll. */
export const idleRequest = (speaker: Speaker) =>
  signed(speaker, '/mdm/connect', COMMAND, { Status: 'Idle', UDID: speaker.id })

/** The bytes of an acknowledgement. */
export const acknowledge = (speaker: Speaker, uuid: string) =>
  signed(speaker, '/mdm/connect', COMMAND, {
    Status: 'Acknowledged',
    UDID: speaker.id,
    CommandUUID: uuid,
    ProfileList: [{ PayloadIdentifier: 'com.example.wifi', PayloadUUID: uuid, PayloadVersion: 1 }],
  })

/** The bytes of a TokenUpdate. */
export const tokenUpdate = (speaker: Speaker) =>
  signed(speaker, '/mdm/checkin', CHECK_IN, {
    MessageType: 'TokenUpdate',
    UDID: speaker.id,
    Topic: speaker.topic,
    Token: Buffer.alloc(32, 7),
    PushMagic: 'B6E2B3A0-0000-4000-8000-BE9C00000000',
    UnlockToken: Buffer.alloc(1024, 9),
  })
