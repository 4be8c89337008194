import { AppError } from '../kernel/errors.ts'
import type { ActivationProfile } from './ade-cloud-organization.ts'
import type { AdePortal } from './ade-portal.ts'

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
 * `POST /portal/devices/{serial}/activation` (gives the ADE profile, 404 without one).
 */
export function answerPortal(
  { method, path, query, body }: PortalRequest,
  portal: AdePortal,
  activate: (serialNumber: string) => ActivationProfile | undefined,
): PortalAnswer {
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
      default:
        return json(404, { error: `the portal has no ${method} /portal${path}` })
    }
  } catch (error) {
    if (error instanceof RangeError || error instanceof AppError) return json(422, { error: error.message })
    throw error
  }
}

function token(body: Buffer): PortalAnswer {
  return { status: 200, type: TOKEN_TYPE, body }
}

function json(status: number, value: object): PortalAnswer {
  return { status, type: 'application/json', body: `${JSON.stringify(value)}\n` }
}
