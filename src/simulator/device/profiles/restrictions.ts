import type { PlistDict, PlistValue } from '../../../protocol/plist/index.ts'

const TYPE = 'com.apple.applicationaccess'

/**
 * What the restriction payloads among these come to together, as the answer to Restrictions: of two booleans the more
 * restrictive one, of two numbers the smaller one, of two lists what is in both.
 * https://developer.apple.com/documentation/devicemanagement/restrictions-command
 */
export function restrictionsOf(payloads: readonly PlistDict[]): PlistDict {
  const restrictedBool: PlistDict = {}
  const restrictedValue: PlistDict = {}
  const intersection: PlistDict = {}
  for (const payload of payloads) {
    if (payload['PayloadType'] !== TYPE) continue
    for (const [key, value] of Object.entries(payload)) {
      if (key.startsWith('Payload')) continue
      if (typeof value === 'boolean')
        restrictedBool[key] = { value: stricter(key, value, restrictedBool[key]) }
      else if (typeof value === 'number')
        restrictedValue[key] = { value: smaller(value, restrictedValue[key]) }
      else if (Array.isArray(value)) intersection[key] = { values: common(value, intersection[key]) }
    }
  }
  return {
    ...(isEmpty(restrictedBool) ? {} : { restrictedBool }),
    ...(isEmpty(restrictedValue) ? {} : { restrictedValue }),
    ...(isEmpty(intersection) ? {} : { intersection }),
  }
}

function stricter(key: string, value: boolean, before: PlistValue | undefined): boolean {
  const other = before === undefined ? value : (before as PlistDict)['value'] === true
  return key.startsWith('force') ? value || other : value && other
}

function smaller(value: number, before: PlistValue | undefined): number {
  return before === undefined ? value : Math.min(value, (before as PlistDict)['value'] as number)
}

function common(values: PlistValue[], before: PlistValue | undefined): PlistValue[] {
  if (before === undefined) return values
  const others = (before as PlistDict)['values'] as PlistValue[]
  return values.filter((value) => others.includes(value))
}

function isEmpty(dict: PlistDict): boolean {
  return Object.keys(dict).length === 0
}
