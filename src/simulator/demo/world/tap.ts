import { ConnectionLost, type DeviceHttp } from '../../wire/device-http.ts'

/** The way from one phone to the server, with somebody's hand on it. */
export type Tap = ReturnType<typeof createTap>

/** Puts a tap on the way of a phone. */
export function createTap(http: DeviceHttp) {
  const profiles: Buffer[] = []
  let isWeak = false
  return {
    /** The enrollment profiles that came through, oldest first. */
    profiles: profiles as readonly Buffer[],
    /** The phone goes off as soon as it has its profile, until it is charged. */
    setBattery: (state: 'weak' | 'charged') => void (isWeak = state === 'weak'),
    http: {
      async send(request) {
        if (isWeak && new URL(request.url).pathname === '/scep')
          throw new ConnectionLost('the battery is empty')
        const answer = await http.send(request)
        if (answer.headers['content-type']?.includes('x-apple-aspen-config') === true)
          profiles.push(answer.body)
        return answer
      },
      close: () => http.close(),
    } satisfies DeviceHttp,
  }
}
