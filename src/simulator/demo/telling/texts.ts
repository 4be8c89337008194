import type { Fakes } from '../world/fakes.ts'
import type { DemoServer } from '../world/server.ts'
import type { Actor } from '../world/stage.ts'
import type { Played } from './director.ts'
import type { Style } from './style.ts'

/** The first words; the database takes a few seconds. */
export const WELCOME = '\nStarting Firstboot with a new database, and everything around it ...\n'

/** What runs, before anything happens. */
export function introduction(options: {
  server: DemoServer
  fakes: Fakes
  style: Style
  startMs: number
}): string {
  const { server, fakes, style, startMs } = options
  return `
${style.strong('Firstboot, an MDM server for Apple devices: a demo on this machine alone')}

Nothing here reaches Apple or the internet. What runs in this process, on loopback:

  Firstboot          ${server.url}  (embedded database in a temporary folder, ready in ${(startMs / 1_000).toFixed(1)} s)
  a fake Apple       ${fakes.ade.url}  (Automated Device Enrollment and its portal)
                     ${fakes.apns.url}  (push service)
  a directory        ${new URL(fakes.directory.mex).origin}  (WS-Trust, as AD FS speaks it)
  an OpenID provider ${fakes.provider.issuer}
  25 phones          which take nothing for granted: whoever breaks Apple's protocol is told so at the end

${style.strong('Setting up, over the operator API as you would')}

`
}

/** The end: phones that are managed, what was not as expected, who broke a protocol. */
export function conclusion(options: {
  actors: readonly Actor[]
  played: readonly Played[]
  breaches: readonly string[]
  untold: readonly string[]
  style: Style
}): string {
  const { actors, played, breaches, untold, style } = options
  const enrolled = actors.filter(({ phone }) => phone.device.status() === 'enrolled').length
  const wrong = played.filter(({ isAsExpected }) => !isAsExpected)
  const lines = [
    `${enrolled} of ${actors.length} phones are managed now.`,
    untold.length === 0
      ? 'Every reason is in the log and the metrics and, but for the two that open no attempt, in a timeline and the events.'
      : style.bad(`Missing: ${untold.join('; ')}`),
    ...wrong.map(({ act, outcomes }) =>
      style.bad(
        `✗ phone ${act.phone} (${act.title}): expected ${act.expected.join(', ')}; got ${outcomes.join(', ')}`,
      ),
    ),
    breaches.length === 0
      ? style.good('Nobody broke a protocol.')
      : style.bad(
          `${breaches.length} breaches of protocols:\n${breaches.map((each) => `  ${each}`).join('\n')}`,
        ),
  ]
  return `\n${lines.join('\n')}\n`
}

/** What to do next, for somebody who has just seen it. */
export function farewell(options: { server: DemoServer; style: Style; actors: readonly Actor[] }): string {
  const { server, style, actors } = options
  const facts = (number: number) => actors.find((actor) => actor.number === number)?.phone.facts
  return `
${style.strong('Look around')}

  API documentation   ${server.url}/api/docs   (any user name; the password is the token below)
                      The console comes with a later version.
  Enrollment page     ${server.url}/enroll   (try lukas, password "correct horse battery")
  Log                 tail -f ${server.logFile}

  ${style.soft('# the token of the first administrator')}
  TOKEN=$(cat ${server.tokenFile})

  ${style.soft('# why phone 4 did not enrol: its attempt, step by step')}
  curl -s -H "Authorization: Bearer $TOKEN" '${server.url}/api/v1/enrollment-attempts?serial_number=${facts(4)?.serialNumber}'
  ${style.soft('# phone 3, with what it told of itself')}
  curl -s -H "Authorization: Bearer $TOKEN" ${server.url}/api/v1/devices/${facts(3)?.udid}
  ${style.soft('# everything that happened, oldest first')}
  curl -s -H "Authorization: Bearer $TOKEN" '${server.url}/api/v1/events?limit=20'

It stays up until Ctrl-C, which removes all of it again.
`
}
