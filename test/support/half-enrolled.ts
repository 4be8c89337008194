import { createDeviceHttp, type Device, type DeviceHttp } from '../../src/simulator/index.ts'
import { ConnectionLost } from '../../src/simulator/wire/device-http.ts'
import type { Identity } from '../../src/protocol/x509/index.ts'
import { putMessage, CHECK_IN, TOPIC, type TestApp } from './app.ts'
import type { PlistDict } from '../../src/protocol/plist/index.ts'

/** A device's way to the server on which check-in messages that hold `text` get lost. */
function httpWithout(text: string): DeviceHttp {
  const http = createDeviceHttp()
  return {
    ...http,
    send: (request) =>
      request.body !== undefined && Buffer.from(request.body).includes(text)
        ? Promise.reject(new ConnectionLost(`${text} got lost`))
        : http.send(request),
  }
}

/** A device that has its certificate, or has said Authenticate too, and went no further. */
export async function halfEnrolled(
  world: TestApp,
  reached: 'certificate' | 'authenticate',
  url?: string,
): Promise<Device> {
  const device = world.device({
    http: httpWithout(reached === 'certificate' ? 'Authenticate' : 'TokenUpdate'),
  })
  const outcome = await device.enroll({ url: url ?? (await world.link()) })
  const step = reached === 'certificate' ? 'authenticate' : 'token_update'
  if (outcome.enrolled || outcome.step !== step) throw new Error(JSON.stringify(outcome))
  return device
}

/** The certificate and key of a device. */
export function identityOf(device: Device): Identity {
  const identity = device.identity()
  if (!identity) throw new Error('The device has no certificate.')
  return identity
}

/** Sends a check-in message as the device; `keys` replace those of a right one, undefined leaves one out. */
export function checkIn(
  world: Pick<TestApp, 'url'>,
  device: Device,
  keys: Record<string, PlistDict[string] | undefined>,
) {
  const message = { UDID: device.facts.udid, Topic: TOPIC, ...keys }
  const given = Object.entries(message).filter(([, value]) => value !== undefined)
  return putMessage(`${world.url}/mdm/checkin`, Object.fromEntries(given) as PlistDict, {
    signer: identityOf(device),
    type: CHECK_IN,
  })
}

/** The keys of a TokenUpdate besides the ids. */
export const TOKEN_UPDATE = {
  MessageType: 'TokenUpdate',
  Token: Buffer.alloc(32, 1),
  PushMagic: 'magic',
} as const
