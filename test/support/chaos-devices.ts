import { setTimeout as pause } from 'node:timers/promises'
import { isDict, parsePlist, type PlistDict } from '../../src/protocol/plist/index.ts'
import { readConfiguration } from '../../src/simulator/device/profiles/configuration.ts'
import {
  createDevice,
  createDeviceHttp,
  createKeyPool,
  createRandom,
  inventDevice,
  type Device,
  type FakeApns,
} from '../../src/simulator/index.ts'
import { testKey } from './keys.ts'

/** Devices that do something at the same time. */
const AT_ONCE = 24
const RETRY_MS = 300

/** A device that does one thing after the other, and watches what it is sent. */
export interface ChaosDevice {
  readonly device: Device
  /** Answers and connections that were cut. */
  cuts: number
  /** Profiles that came although they were there, and nothing had been cut since they came first; with all that was said since. */
  readonly doubles: { identifier: string; since: string[] }[]
  /** Sessions that ended in what no server of ours should say. */
  readonly faults: string[]
  /** Commands of a type that it has done in its present enrollment, as far as it knows that its answer was heard. */
  done(requestType: string): number
  /** Does something when nothing else is going on. */
  next(act: () => Promise<unknown>): Promise<void>
  /** Has it come to the server. */
  poll(): void
  /** Enrols, however often that is to be tried. */
  enroll(): Promise<void>
}

/** Many of them; pushes of the fake APNs reach them. */
export function chaosDevices(options: { size: number; seed: string; apns: FakeApns; url: string }) {
  const { size, seed, apns, url } = options
  const shared = createDeviceHttp()
  const keys = createKeyPool(2, [testKey('device'), testKey('other')])
  const byToken = new Map<string, ChaosDevice>()
  const turn = turns(AT_ONCE)
  let isStopped = false
  let busy = 0

  function make(index: number): ChaosDevice {
    const random = createRandom(`${seed}/${index}`)
    /** How often something had been cut when a profile came, and what had been said. */
    const cameAt = new Map<string, { cuts: number; said: number }>()
    const said: string[] = []
    let line = Promise.resolve()
    let isAwaited = false

    const http: typeof shared = {
      async send(request) {
        // What it says to have failed may be done all the same.
        if (request.body !== undefined && Buffer.from(request.body).includes('<string>Error</string>'))
          one.cuts += 1
        try {
          const answer = await shared.send(request)
          if (answer.status >= 500) one.cuts += 1
          else note(request.body, answer.body)
          return answer
        } catch (error) {
          one.cuts += 1
          throw error
        }
      },
      close: () => undefined,
    }

    function note(asked: Uint8Array | undefined, body: Buffer): void {
      const command = dictOf(body)['Command']
      const { RequestType: type, Payload: payload, Identifier: removed } = isDict(command) ? command : {}
      const about = [dictOf(asked)['Status'], type, removed].filter((text) => typeof text === 'string')
      if (!(payload instanceof Uint8Array)) {
        said.push(about.join(' '))
        return
      }
      const { identifier, uuid } = readConfiguration(payload, new Date())
      said.push([...about, identifier, uuid].join(' '))
      const came = cameAt.get(uuid)
      const isThere = device.view().profiles.some((profile) => profile.uuid === uuid)
      if (isThere && came?.cuts === one.cuts) one.doubles.push({ identifier, since: said.slice(came.said) })
      cameAt.set(uuid, { cuts: one.cuts, said: said.length - 1 })
    }

    const device = createDevice({
      ...{ http, keys, random, patience: 1_000, facts: inventDevice(random.fork('facts')) },
      ...{ apps: { steps: 'at once' as const } },
      onToken: (token) => void byToken.set(token, one),
    })

    async function session(): Promise<void> {
      isAwaited = false
      if (device.status() !== 'enrolled' || isStopped) return
      const { end } = await device.poll()
      if (end === 'later') {
        one.cuts += 1
        setTimeout(one.poll, RETRY_MS)
      } else if (end !== 'idle') one.faults.push(end)
    }

    const one: ChaosDevice = {
      ...{ device, cuts: 0, doubles: [], faults: [] },
      done: (type) =>
        device
          .results()
          .filter(
            ({ requestType, status, acknowledged }) =>
              requestType === type && status !== 'NotNow' && acknowledged,
          ).length,
      next(act) {
        busy += 1
        line = line
          .then(() => turn(act))
          .catch((error: unknown) => void one.faults.push(String((error as Error).stack)))
          .finally(() => (busy -= 1))
        return line
      },
      poll() {
        if (isAwaited || isStopped) return
        isAwaited = true
        void one.next(session)
      },
      async enroll() {
        cameAt.clear()
        for (;;) {
          const outcome = await device.enroll({ url })
          if (outcome.enrolled) return
          if (!outcome.lost) throw new Error(`${outcome.step}: ${outcome.reason}`)
          await pause(RETRY_MS)
        }
      },
    }
    return one
  }

  apns.onPush((token, magic) => {
    const one = byToken.get(token)
    const topic = apns.pushes.at(-1)?.topic
    if (one?.device.receivePush({ token, magic, topic }) !== undefined) one.poll()
  })

  const all = Array.from({ length: size }, (_, index) => make(index))
  return {
    all,
    /** Resolves when none of them does anything, or is about to. */
    async quiet(): Promise<void> {
      while (busy > 0) await pause(20)
    },
    stop() {
      isStopped = true
      shared.close()
    },
  }
}

/** A message as it is on the wire; nothing of what is none. */
function dictOf(body: Uint8Array | undefined): PlistDict {
  try {
    const value = parsePlist(body ?? new Uint8Array())
    return isDict(value) ? value : {}
  } catch {
    return {}
  }
}

/** Runs at most so many at a time. */
function turns(width: number) {
  const waiting: (() => void)[] = []
  let running = 0
  return async (act: () => Promise<unknown>): Promise<void> => {
    if (running >= width) await new Promise<void>((resolve) => waiting.push(resolve))
    else running += 1
    try {
      await act()
    } finally {
      const next = waiting.shift()
      if (next === undefined) running -= 1
      else next()
    }
  }
}
