import { expect } from 'vitest'
import { createFakeAppleCa } from '../../../src/simulator/index.ts'
import { adeTroubles } from '../../support/ade-troubles.ts'
import type { EnteringWorld } from './entering-world.ts'
import { explained, type Fault } from './fault.ts'

/** What is wrong at Apple, or between Apple and us. */
export function faultsAtApple(at: EnteringWorld): Fault[] {
  return [
    {
      fault: 'its serial number was never given to us at Apple',
      inject: async () => {
        const stranger = await at.world.stranger()
        await at.post(stranger, {}, { url: at.world.activation(await at.world.phone(at.open)).url })
        return at.serialOf(stranger)
      },
      ...{ kind: 'attempt', reason: 'unknown_serial', next: /Assign the serial number .* start a sync/ },
    },
    {
      fault: 'nobody has given it a policy',
      inject: () => at.unassigned(),
      ...{ kind: 'ade_device', reason: 'not_assigned', next: /^Assign an enrollment policy/ },
    },
    {
      fault: 'it came to the address of another policy',
      inject: async () => {
        const phone = await at.world.phone(at.native)
        await at.post(phone, {}, { url: at.world.activation(await at.world.phone(at.open)).url })
        await at.world.api('POST', `/enrollment-policies/${at.native}/unassign`, {
          serial_numbers: [at.serialOf(phone)],
        })
        return at.serialOf(phone)
      },
      ...{ kind: 'ade_device', reason: 'not_assigned', next: /Assign an enrollment policy/ },
    },
    {
      fault: 'an administrator has blocked it',
      inject: async () => {
        const phone = await at.world.phone(at.open)
        await at.world.api('POST', `/ade-devices/${at.serialOf(phone)}/block`, {})
        return at.serialOf(phone)
      },
      ...{ kind: 'ade_device', reason: 'blocked', next: /^Unblock/ },
    },
    {
      fault: 'it was blocked when it came, and is not any more',
      inject: async () => {
        const phone = await at.world.phone(at.open)
        await at.world.api('POST', `/ade-devices/${at.serialOf(phone)}/block`, {})
        await at.post(phone)
        await at.world.api('POST', `/ade-devices/${at.serialOf(phone)}/unblock`, {})
        return at.serialOf(phone)
      },
      ...{ kind: 'ade_device', reason: 'blocked', next: /is gone: set the device up again/ },
    },
    {
      fault: 'Apple was not told of its policy yet',
      inject: async () => {
        at.world.fake.script('/profile/devices', 'hold')
        const serial = await at.assigned()
        await at.world.until(() => at.world.fake.held() === 1, 50)
        return serial
      },
      mend: async () => at.world.fake.release(),
      ...{ kind: 'ade_device', reason: 'assignment_pending', next: /^Nothing: .* by itself/ },
    },
    {
      fault: 'Apple throttles its assignment',
      inject: async () => at.until(await at.assigned('THROTTLED'), 'throttled'),
      ...{ kind: 'ade_device', reason: 'assignment_throttled', next: /tried again by itself at \d{4}-/ },
    },
    {
      fault: 'Apple refuses its assignment',
      inject: async () => at.until(await at.assigned('FAILED'), 'failed'),
      ...{ kind: 'ade_device', reason: 'assignment_failed', next: /tried again by itself at \d{4}-/ },
    },
    {
      fault: 'nobody has switched it on',
      inject: async () => at.serialOf(await at.world.phone(at.open)),
      ...{ kind: 'ade_device', reason: 'not_contacted', next: /^Switch it on/ },
    },
    {
      fault: 'nobody has accepted the new terms of Apple',
      inject: async () => {
        const serial = at.serialOf(await at.world.phone(at.open))
        await at.troubled(adeTroubles.termsNotSigned)
        return serial
      },
      mend: () => at.sync(),
      ...{ kind: 'ade_device', reason: 'terms_not_signed', next: /must sign in .* and accept them/ },
    },
    {
      fault: 'Apple denies access to its server',
      inject: async () => {
        const serial = at.serialOf(await at.world.phone(at.open))
        await at.troubled(adeTroubles.accessDenied)
        return serial
      },
      mend: () => at.sync(),
      ...{ kind: 'ade_device', reason: 'sync_failing', next: /make a new token/ },
    },
    {
      fault: 'the token of its server has expired',
      inject: async () => {
        const serial = at.serialOf(await at.world.phone(at.open))
        await at.server({ token_expires_at: at.years(-1) })
        return serial
      },
      mend: () => at.server({ token_expires_at: at.years(1) }),
      ...{ kind: 'ade_device', reason: 'server_token_expired', next: /^Download a new server token/ },
    },
    {
      fault: 'the push certificate has expired',
      inject: async () => {
        const phone = await at.world.phone(at.open)
        await at.certificates({ not_after: at.years(-1) })
        await at.post(phone)
        return at.serialOf(phone)
      },
      mend: () => at.certificates({ not_after: at.years(1) }),
      ...{ kind: 'ade_device', reason: 'push_certificate_missing', next: /^Upload a valid push certificate/ },
    },
    {
      fault: 'it came before there was a valid push certificate, and one is there now',
      inject: async () => {
        const phone = await at.world.phone(at.open)
        await at.certificates({ not_after: at.years(-1) })
        await at.post(phone)
        await at.certificates({ not_after: at.years(1) })
        return at.serialOf(phone)
      },
      ...{ kind: 'ade_device', reason: 'push_certificate_missing', next: /is gone: set the device up again/ },
    },
    {
      fault: 'what it says is not signed by a device of Apple',
      inject: async () => {
        const phone = await at.world.phone(at.open)
        const ca = await createFakeAppleCa(at.world.clock.now())
        await at.post(phone, {}, { ca })
        await at.world.until(
          async () => (await explained(at.world, at.serialOf(phone)))[0]?.reason !== 'not_contacted',
          1_000,
        )
        return at.serialOf(phone)
      },
      ...{ kind: 'ade_device', reason: 'machine_info_untrusted', next: /no device of yours/ },
    },
    {
      fault: 'somebody took it from our server in the portal',
      inject: async () => {
        const phone = await at.world.phone(at.open)
        at.world.fake.portal.moveDevice(at.serialOf(phone), null)
        await at.sync()
        return at.serialOf(phone)
      },
      ...{ kind: 'ade_device', reason: 'unknown_serial', next: /next sync brings it back by itself/ },
    },
    {
      fault: 'its person enrolled it, and its serial number was given a policy since',
      inject: async () => {
        const { facts } = await at.world.enrolled()
        at.world.fake.portal.addDevices([facts.serialNumber], 'Phones')
        await at.sync()
        await at.world.assign(at.open, [facts.serialNumber])
        const isTakenBack = async () =>
          (await explained(at.world, facts.udid))[0]?.reason === 'unenrolled_by_assignment'
        await at.world.until(isTakenBack, 500)
        return facts.serialNumber
      },
      ...{ kind: 'device', reason: 'unenrolled_by_assignment', next: /removal goes out at its next contact/ },
    },
    {
      fault: 'it was released from the organisation',
      inject: async () => {
        const serial = at.serialOf(await at.world.phone(at.open))
        const { status } = await at.world.api('POST', `/ade-devices/${serial}/release`, { confirm: serial })
        expect(status).toBe(200)
        return serial
      },
      ...{ kind: 'ade_device', reason: 'unknown_serial', next: /Apple Configurator/ },
    },
  ]
}
