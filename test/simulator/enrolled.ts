import { afterAll, beforeAll, beforeEach } from 'vitest'
import {
  createDevice,
  createDeviceHttp,
  createKeyPool,
  createRandom,
  inventDevice,
} from '../../src/simulator/index.ts'
import type { Device, DeviceOptions, ViolationKind } from '../../src/simulator/index.ts'
import type { WritablePlist } from '../../src/protocol/plist/index.ts'
import { manualClock } from '../support/manual-clock.ts'
import type { ManualClock } from '../support/manual-clock.ts'
import { testKey } from '../support/keys.ts'
import { startScriptedServer } from './scripted-server.ts'
import type { ScriptedServer } from './scripted-server.ts'

/** A server and what is needed to let devices loose on it; fresh scripts for each test. */
export interface Stage {
  server: ScriptedServer
  clock: ManualClock
  device(options?: Partial<DeviceOptions>): Device
  /** A device that has enrolled. */
  enrolled(options?: Partial<DeviceOptions>): Promise<Device>
  kinds(device: Device): ViolationKind[]
}

/** Sets the stage for the tests of a file. */
export function useStage(): Stage {
  const http = createDeviceHttp()
  const keys = createKeyPool(2, [testKey('device'), testKey('other')])
  const stage = {} as Stage
  let count = 0

  beforeAll(async () => {
    stage.server = await startScriptedServer()
  })
  beforeEach(() => {
    const fresh = {
      seen: [],
      script: new Map(),
      queue: [],
      profile: {},
      profileReply: {},
      scep: {},
      scepMethods: [],
    }
    Object.assign(stage.server, fresh)
    stage.clock = manualClock()
  })
  afterAll(async () => {
    http.close()
    await stage.server.close()
  })

  stage.device = (options = {}) => {
    const random = createRandom(`test ${count++}`)
    return createDevice({ facts: inventDevice(random), http, random, keys, clock: stage.clock, ...options })
  }
  stage.enrolled = async (options) => {
    const device = stage.device(options)
    const outcome = await device.enroll({ url: `${stage.server.url}/profile` })
    if (!outcome.enrolled) throw new Error(`${outcome.step}: ${outcome.reason}`)
    return device
  }
  stage.kinds = (device) => device.violations().map(({ kind }) => kind)
  return stage
}

/** A command on the wire. */
export function command(
  uuid: string,
  requestType: string,
  rest: Record<string, WritablePlist> = {},
): WritablePlist {
  return { CommandUUID: uuid, Command: { RequestType: requestType, ...rest } }
}
