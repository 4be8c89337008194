import { createServer } from 'node:http'
import type { IncomingMessage, Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterAll, beforeAll, beforeEach } from 'vitest'
import {
  createDeviceHttp,
  createFakeAppleCa,
  createKeyPool,
  createPhoneMaker,
} from '../../src/simulator/index.ts'
import type { DeviceFacts, FakeAppleCa, Phone, PhoneOptions } from '../../src/simulator/index.ts'
import { testKey } from '../support/keys.ts'
import { manualClock } from '../support/manual-clock.ts'
import type { ManualClock } from '../support/manual-clock.ts'
import { startScriptedServer } from './scripted-server.ts'
import type { ScriptedServer } from './scripted-server.ts'

/** A request to the front desk. */
export interface Arrival {
  method: string
  url: URL
  headers: IncomingMessage['headers']
  body: Buffer
  form: URLSearchParams
}

/** What the front desk says. */
export interface Said {
  status?: number
  headers?: Record<string, string | string[]>
  body?: string | Uint8Array
}

/** A scripted MDM server with a front desk for Setup Assistant, which answers as `desk` says. */
export interface PhoneStage {
  server: ScriptedServer
  ca: FakeAppleCa
  clock: ManualClock
  front: string
  arrivals: Arrival[]
  desk: (arrival: Arrival) => Said | Promise<Said>
  /** A profile, as it should be. */
  profile(): Promise<Said>
  /** A phone whose ADE profile has these keys besides `url`. */
  phone(
    content?: Record<string, unknown>,
    options?: Partial<PhoneOptions>,
    facts?: Partial<DeviceFacts>,
  ): Promise<Phone>
  kinds(phone: Phone): string[]
}

/** Sets the stage for the tests of a file. */
export function usePhoneStage(): PhoneStage {
  const http = createDeviceHttp()
  const keys = createKeyPool(1, [testKey('device')])
  const stage = {} as PhoneStage
  let front: Server
  let count = 0

  beforeAll(async () => {
    stage.server = await startScriptedServer()
    stage.ca = await createFakeAppleCa(new Date())
    front = createServer((request, response) => {
      void receive(request).then(({ status = 200, headers = {}, body }) => {
        for (const [name, value] of Object.entries(headers)) response.setHeader(name, value)
        response.statusCode = status
        response.end(body)
      })
    })
    await new Promise<void>((resolve) => front.listen(0, '127.0.0.1', resolve))
    stage.front = `http://127.0.0.1:${(front.address() as AddressInfo).port}`
  })
  beforeEach(() => {
    Object.assign(stage.server, { seen: [], script: new Map(), queue: [], scep: {} })
    stage.clock = manualClock()
    stage.arrivals = []
    stage.desk = () => stage.profile()
  })
  afterAll(async () => {
    http.close()
    front.closeAllConnections()
    await new Promise((resolve) => front.close(resolve))
    await stage.server.close()
  })

  async function receive(request: IncomingMessage): Promise<Said> {
    const chunks: Buffer[] = []
    for await (const chunk of request as AsyncIterable<Buffer>) chunks.push(chunk)
    const body = Buffer.concat(chunks)
    const { method = '', headers } = request
    const form = new URLSearchParams(body.toString('latin1'))
    const arrival = { method, headers, body, form, url: new URL(request.url!, stage.front) }
    stage.arrivals.push(arrival)
    return stage.desk(arrival)
  }

  stage.profile = async () => ({
    headers: { 'content-type': 'application/x-apple-aspen-config' },
    body: await stage.server.signedProfile(),
  })
  stage.phone = async (content = {}, options = {}, facts = {}) => {
    const profile = { url: `${stage.front}/ade`, is_supervised: true, ...content }
    const activate = () => ({ uuid: 'u', organization: 'Example AG', content: profile })
    const make = createPhoneMaker({
      http,
      keys,
      clock: stage.clock,
      ca: stage.ca,
      activate,
      seed: `${count++}`,
    })
    return make({ patience: 0, ...options, facts: { osVersion: '18.1', buildVersion: '22B83', ...facts } })
  }
  stage.kinds = (phone) => phone.violations().map(({ kind }) => kind)
  return stage
}
