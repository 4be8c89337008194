import type { PlistDict } from '../../../protocol/plist/index.ts'
import type { ErrorLink } from '../../device-fault.ts'

/** The answer to a command: its status and the keys that go with it. */
export interface Answer {
  status: 'Acknowledged' | 'Error' | 'CommandFormatError' | 'NotNow'
  keys: PlistDict
}

/** An answer with this error chain, the outermost link first. */
export function failedWith(links: readonly ErrorLink[], keys: PlistDict = {}): Answer {
  return { status: 'Error', keys: { ...keys, ErrorChain: chainOf(links) } }
}

/** An answer with an error chain of one. */
export function failed(domain: string, code: number, description: string): Answer {
  return failedWith([{ domain, code, description }])
}

/** The same of the domain of MDM itself (Apple's MDM protocol reference, "Error Codes"). */
export function refused(code: number, description: string, keys: PlistDict = {}): Answer {
  return failedWith([{ domain: 'MCMDMErrorDomain', code, description }], keys)
}

/** The command was done. */
export function acknowledged(keys: PlistDict = {}): Answer {
  return { status: 'Acknowledged', keys }
}

/** The command lacks what it needs. */
export const malformed: Answer = { status: 'CommandFormatError', keys: {} }

/** Not now. */
export const notNow: Answer = { status: 'NotNow', keys: {} }

/** An error chain on the wire. */
export function chainOf(links: readonly ErrorLink[]): PlistDict[] {
  return links.map(({ domain, code, description }) => ({
    ErrorCode: code,
    ErrorDomain: domain,
    LocalizedDescription: description,
    USEnglishDescription: description,
  }))
}
