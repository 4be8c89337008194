import { AppError } from '../../kernel/errors.ts'
import { parseRecord } from '../../kernel/records.ts'
import type { Person } from '../person.ts'
import type { ActivationProfile } from './organization.ts'
import type { AdePortal } from './portal.ts'

/** Powers a phone on, with whoever sits before it; gives what became of it, as JSON. */
export type PowerOn = (serialNumber: string, person: Person | undefined) => Promise<object>

/** What the portal says over HTTP. */
interface PortalAnswer {
  status: number
  type: string
  body: string | Buffer
}

/** A request to the portal. */
interface PortalRequest {
  method: string
  /** Below `/portal`. */
  path: string
  query: URLSearchParams
  body: Buffer
}

const TOKEN_TYPE = 'application/pkcs7-mime'

/**
 * The portal for people with curl, and activation for phones of another process:
 * `POST /portal/servers?name=` (body: the .pem; gives the .p7m), `POST /portal/servers/{name}/token` (renews it),
 * `POST /portal/servers/{name}/devices` (serial numbers, one a line), `DELETE /portal/devices/{serial}`,
 * `POST /portal/devices/{serial}/activation` (gives the ADE profile, 404 without one), and where there are phones
 * `POST /portal/devices/{serial}/power-on` (body: nothing, or JSON with `user_name`, `password`, `one_time_code` and
 * `new_password` of the person before it; gives what became of it).
 */
export async function answerPortal(
  { method, path, query, body }: PortalRequest,
  {
    portal,
    activate,
    powerOn,
  }: {
    portal: AdePortal
    activate: (serialNumber: string) => ActivationProfile | undefined
    powerOn: PowerOn | undefined
  },
): Promise<PortalAnswer> {
  const [, kind, key = '', action = ''] = path.split('/').map(decodeURIComponent)
  const text = body.toString('utf8')
  const appleId = query.get('apple_id') ?? undefined
  const options = { certificatePem: text, ...(appleId === undefined ? {} : { appleId }) }
  try {
    switch (`${method} ${kind} ${action}`) {
      case 'POST servers ':
        return token(portal.addServer({ name: query.get('name') ?? 'MDM', ...options }))
      case 'POST servers token':
        return token(portal.renew(key, options))
      case 'POST servers devices':
        portal.addDevices(
          text.split(/\s+/).filter((serial) => serial !== ''),
          key,
        )
        return { status: 204, type: 'text/plain', body: '' }
      case 'DELETE devices ':
        portal.removeDevice(key)
        return { status: 204, type: 'text/plain', body: '' }
      case 'POST devices activation': {
        const profile = activate(key)
        return json(profile === undefined ? 404 : 200, profile ?? { error: `there is no profile for ${key}` })
      }
      case 'POST devices power-on':
        if (powerOn === undefined) return json(404, { error: 'there are no phones here' })
        return json(200, await powerOn(key, readPerson(text)))
      default:
        return json(404, { error: `the portal has no ${method} /portal${path}` })
    }
  } catch (error) {
    if (error instanceof RangeError || error instanceof AppError) return json(422, { error: error.message })
    throw error
  }
}

/** Refuses `message_invalid`. */
function readPerson(text: string): Person | undefined {
  if (text.trim() === '') return undefined
  const given = (parseRecord(text) ?? {}) as Record<string, string | undefined>
  const { user_name: userName, password, one_time_code: oneTimeCode, new_password: newPassword } = given
  const wrong = Object.entries(given).find(
    ([name, value]) => !PERSON_FIELDS.has(name) || typeof value !== 'string',
  )
  if (wrong !== undefined || userName === undefined || password === undefined) {
    throw new AppError('message_invalid', `the body is JSON with texts: ${[...PERSON_FIELDS].join(', ')}`)
  }
  const more = { ...(oneTimeCode && { oneTimeCode }), ...(newPassword && { newPassword }) }
  return { userName, passwords: [password], ...more }
}

const PERSON_FIELDS = new Set(['user_name', 'password', 'one_time_code', 'new_password'])

function token(body: Buffer): PortalAnswer {
  return { status: 200, type: TOKEN_TYPE, body }
}

function json(status: number, value: object): PortalAnswer {
  return { status, type: 'application/json', body: `${JSON.stringify(value)}\n` }
}
