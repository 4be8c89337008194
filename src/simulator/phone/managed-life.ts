import type { Clock } from '../../kernel/clock.ts'
import type { Channel, Push } from '../device/channel.ts'
import type { Device } from '../device/device.ts'
import type { SessionReport } from '../device/session.ts'
import type { ReportViolation } from '../wire/violations.ts'

const SELF_POLL_MS = 10_000

/** A managed device that comes when it is pushed, and by itself after a NotNow or a restart; one thing at a time. */
export function createManagedLife(device: Device, clock: Clock, report: ReportViolation) {
  const faults: string[] = []
  let running: Promise<unknown> = Promise.resolve()
  let awake: () => void = () => undefined

  function inTurn<T>(task: () => Promise<T>): Promise<T> {
    const result = running.then(task)
    running = result.catch(() => undefined)
    return result
  }

  function poll(channel?: Channel): Promise<SessionReport> {
    return inTurn(async () => {
      const session = await device.poll(channel)
      if (session.pollsAgain || session.end === 'later' || session.end === 'restarting') {
        clock.after(SELF_POLL_MS, () => wake(channel))
      }
      awake()
      return session
    })
  }

  function wake(channel?: Channel): void {
    const fault = (error: unknown) => void faults.push(String((error as Error).stack))
    void inTurn(() => Promise.resolve(device.status() === 'enrolled')).then((isEnrolled) => {
      if (isEnrolled) poll(channel).catch(fault)
    })
  }

  return {
    inTurn,
    poll,
    faults: () => faults,
    receivePush(push: Push): void {
      const channel = device.receivePush(push)
      if (channel !== undefined) wake(channel)
    },
    async idle(): Promise<void> {
      for (let last; last !== running;) {
        last = running
        await last
      }
    },
    /** Held by the server; true when it let the phone go, false when that is managed no more or patience ends. */
    configured(patienceMs: number): Promise<boolean> {
      // The server may hear of it only as an Error, when its first answer got lost.
      const isDone = () =>
        !device.awaiting() &&
        device
          .results()
          .some(({ requestType, acknowledged }) => requestType === 'DeviceConfigured' && acknowledged)
      return new Promise((resolve) => {
        const undo = clock.after(patienceMs, () => {
          report('not_configured', `no DeviceConfigured within ${patienceMs / 1_000} s`)
          awake = () => undefined
          resolve(false)
        })
        awake = () => {
          if (!isDone() && device.status() === 'enrolled') return
          undo()
          resolve(isDone())
        }
        awake()
      })
    },
  }
}
