import type { Fault } from '../../kernel/errors.ts'
import {
  isProfileDict,
  pointerOf,
  shown,
  WrittenNumber,
  type ProfileDict,
  type ProfilePath,
  type ProfileValue,
} from './tree.ts'

const NEEDED_TEXTS = ['PayloadType', 'PayloadIdentifier', 'PayloadUUID'] as const
/** Most bytes of an identifier, which devices list as it is. */
const LONGEST_IDENTIFIER = 512
const SCOPES = new Set<unknown>([undefined, 'System', 'User'])
/** What must be the same nowhere else in the profile. */
const UNIQUE = ['PayloadIdentifier', 'PayloadUUID'] as const

/** What makes devices refuse a profile whatever its payloads say (Apple's `TopLevel.yaml` and `CommonPayloadKeys.yaml`). */
export function checkStructure(root: ProfileDict): Fault[] {
  const faults = headerFaults(root, [])
  if (typeof root['PayloadType'] === 'string' && root['PayloadType'] !== 'Configuration')
    faults.push(fault(['PayloadType'], 'The PayloadType of a configuration profile is "Configuration".'))
  if (!SCOPES.has(root['PayloadScope']))
    faults.push(fault(['PayloadScope'], 'PayloadScope is "System" or "User".'))
  const content = root['PayloadContent']
  if (!Array.isArray(content)) {
    faults.push(fault(['PayloadContent'], 'PayloadContent must be an array of payloads.'))
    return faults
  }
  content.forEach((payload, at) => faults.push(...payloadFaults(payload, ['PayloadContent', at])))
  return [...faults, ...duplicates(root, content)]
}

function payloadFaults(payload: ProfileValue, path: ProfilePath): Fault[] {
  return isProfileDict(payload) ? headerFaults(payload, path) : [fault(path, 'A payload is a dictionary.')]
}

function headerFaults(dict: ProfileDict, path: ProfilePath): Fault[] {
  const faults = NEEDED_TEXTS.flatMap((key) => {
    const value = dict[key]
    if (typeof value === 'string' && value !== '') {
      if (Buffer.byteLength(value) <= LONGEST_IDENTIFIER) return []
      return [fault([...path, key], `${key} is longer than ${LONGEST_IDENTIFIER} bytes.`)]
    }
    const what = value === undefined ? 'is missing' : 'must be a text'
    return [fault([...path, key], `${key} ${value === '' ? 'is empty' : what}.`)]
  })
  const version = dict['PayloadVersion']
  if (version === undefined) faults.push(fault([...path, 'PayloadVersion'], 'PayloadVersion is missing.'))
  else if (!(version instanceof WrittenNumber) || Number(version.text) !== 1)
    faults.push(fault([...path, 'PayloadVersion'], 'PayloadVersion must be 1.'))
  return faults
}

function duplicates(root: ProfileDict, payloads: readonly ProfileValue[]): Fault[] {
  return UNIQUE.flatMap((key) => {
    const seen = new Set<string>()
    const own = root[key]
    // The identifier of a profile may be that of its payload; devices tell them apart.
    if (key === 'PayloadUUID' && typeof own === 'string') seen.add(own.toUpperCase())
    return payloads.flatMap((payload, at) => {
      const value = isProfileDict(payload) ? payload[key] : undefined
      if (typeof value !== 'string' || value === '') return []
      const known = key === 'PayloadUUID' ? value.toUpperCase() : value
      const isTwice = seen.has(known)
      seen.add(known)
      return isTwice ? [fault(['PayloadContent', at, key], `${key} "${shown(value)}" is there twice.`)] : []
    })
  })
}

function fault(path: ProfilePath, detail: string): Fault {
  return { pointer: pointerOf(path), detail }
}
