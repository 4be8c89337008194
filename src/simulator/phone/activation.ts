import { writePem } from '../../protocol/x509/index.ts'
import type { ActivationProfile } from '../apple-cloud/organization.ts'
import { refuse } from '../wire/strict-reading.ts'

/** What a phone takes from its ADE profile. */
export interface SetupPlan {
  organization: string
  url: string
  /** A web view instead of the POST to `url`. */
  webUrl: string | undefined
  /** Automated Device Enrollment, and not a page. */
  viaAde: boolean
  awaitsConfiguration: boolean
  supervised: boolean
  /** PEM of the CAs that are trusted for these addresses, instead of those of the system. */
  anchors: string | undefined
}

/** Reads an ADE profile as a device does at activation; refuses `message_invalid`. */
export function readActivation({ organization, content }: ActivationProfile): SetupPlan {
  const { url, configuration_web_url: webUrl, anchor_certs: anchors } = content
  if (typeof url !== 'string') return refuse('the ADE profile has no url')
  const isSupervised = content['is_supervised'] === true
  return {
    organization,
    url,
    viaAde: true,
    supervised: isSupervised,
    webUrl: typeof webUrl === 'string' ? webUrl : undefined,
    awaitsConfiguration: isSupervised && content['await_device_configured'] === true,
    anchors: Array.isArray(anchors) && anchors.length > 0 ? toPem(anchors) : undefined,
  }
}

/** For who enrols in a browser, from this address to the profile. */
export function planOfPage(url: string): SetupPlan {
  return {
    organization: new URL(url).host,
    url,
    webUrl: url,
    viaAde: false,
    awaitsConfiguration: false,
    supervised: false,
    anchors: undefined,
  }
}

/** For a device that comes back to service without Automated Device Enrollment. */
export function planOfService(supervised: boolean): SetupPlan {
  return {
    organization: '',
    url: '',
    webUrl: undefined,
    viaAde: false,
    awaitsConfiguration: false,
    supervised,
    anchors: undefined,
  }
}

function toPem(anchors: readonly unknown[]): string {
  return anchors.map((anchor) => writePem('CERTIFICATE', Buffer.from(String(anchor), 'base64'))).join('')
}
