import type { Person } from '../person.ts'
import type { Violation } from '../wire/violations.ts'
import type { createPhoneMaker } from './phone-maker.ts'
import type { Phone } from './phone.ts'

/** Phones that are there as soon as somebody powers them on, by their serial numbers. */
export type PhoneDesk = ReturnType<typeof createPhoneDesk>

/** The phone that Apple's list says it is, when nothing else was said. */
const DEFAULT_HARDWARE = {
  platform: 'ios',
  productName: 'iPhone15,4',
  model: 'MTP03ZD',
  modelName: 'iPhone',
} as const

/** An empty desk: a phone is made when its serial number is powered on for the first time. */
export function createPhoneDesk(make: ReturnType<typeof createPhoneMaker>) {
  const phones = new Map<string, Promise<Phone>>()
  const seen: Violation[] = []
  const onViolation = (violation: Violation) => void seen.push(violation)
  return {
    /** From the first screen of Setup Assistant on; a phone that is managed already is erased before. */
    async powerOn(serialNumber: string, person: Person | undefined) {
      const made =
        phones.get(serialNumber) ?? make({ facts: { ...DEFAULT_HARDWARE, serialNumber }, onViolation })
      phones.set(serialNumber, made)
      const phone = await made
      await phone.idle()
      phone.erase()
      const { outcome, screen, way, httpStatus, signInTries, reason } = await phone.powerOn(person)
      return {
        serial_number: serialNumber,
        udid: phone.facts.udid,
        outcome,
        screen,
        way: way ?? null,
        http_status: httpStatus ?? null,
        sign_in_tries: signInTries,
        reason: reason ?? null,
      }
    },
    violations: () => seen,
  }
}
