import { expect } from 'vitest'
import { HOUR, type EnteringWorld } from './entering-world.ts'
import type { Fault } from './fault.ts'

/** What is wrong with the phone that comes, or the person who has it. */
export function faultsAtSignIn(at: EnteringWorld): Fault[] {
  return [
    {
      fault: 'its system is too old',
      inject: async () => {
        const policy = await at.world.policy({ ade: { minimum_os_version: '18.4' } })
        const phone = await at.world.phone(policy, { facts: { osVersion: '17.6' } })
        await at.post(phone)
        return at.serialOf(phone)
      },
      ...{ kind: 'ade_device', reason: 'os_update_required', next: /^Update the device/ },
    },
    {
      fault: 'nobody has signed in yet',
      inject: async () => {
        const phone = await at.world.phone(at.native)
        await at.post(phone)
        return at.serialOf(phone)
      },
      ...{ kind: 'ade_device', reason: 'sign_in_required', next: /types user name and password/ },
    },
    {
      fault: 'somebody types a wrong password',
      inject: async () => at.serialOf(await at.signedIn('wrong@example.com', {}, 'wrong')),
      ...{
        kind: 'ade_device',
        reason: 'invalid_credentials',
        next: /tries again/,
        says: /wrong@example.com/,
      },
    },
    {
      fault: 'the person who signs in is disabled',
      inject: async () => at.serialOf(await at.signedIn('disabled@example.com', { disabled: true })),
      ...{ kind: 'ade_device', reason: 'user_disabled', next: /^Enable the user/ },
    },
    {
      fault: 'the person is disabled, asked for by their name in other letters',
      inject: async () => 'DISABLED@example.com',
      ...{ kind: 'user', reason: 'user_disabled', next: /^Enable the user/ },
    },
    {
      fault: 'the password of the person has expired',
      inject: async () => {
        await at.world.api('POST', '/users', {
          user_name: 'expired',
          password_expires_at: '2020-01-01T00:00:00Z',
        })
        return 'expired'
      },
      ...{ kind: 'user', reason: 'password_expired', next: /sets a new password/ },
    },
    {
      fault: 'the person must choose a new password',
      inject: async () => {
        await at.world.api('POST', '/users', { user_name: 'change', must_change_password: true })
        return 'change'
      },
      ...{ kind: 'user', reason: 'password_change_required', next: /chooses a new password/ },
    },
    {
      fault: 'nobody has that user name',
      inject: async () => {
        await at.post(await at.world.phone(at.native), at.basic('nobody@example.com'))
        return 'nobody@example.com'
      },
      ...{ kind: 'attempt', reason: 'user_unknown', next: /^Make a user/ },
    },
    {
      fault: 'an enrollment manager signs in',
      inject: async () => at.serialOf(await at.signedIn('manager@example.com', { enrollment_manager: true })),
      ...{ kind: 'ade_device', reason: 'enrollment_manager_not_allowed', next: /no enrollment manager/ },
    },
    {
      fault: 'the person may have no more devices',
      inject: async () => at.serialOf(await at.signedIn('limited@example.com', { device_limit: 0 })),
      ...{ kind: 'ade_device', reason: 'device_limit_exceeded', next: /raise their device limit/ },
    },
    {
      fault: 'the person may have no more devices, asked for by their name',
      inject: async () => 'limited@example.com',
      ...{
        kind: 'user',
        reason: 'user_at_limit',
        next: /raise their device limit/,
        says: /0 of the 0 devices/,
      },
    },
    {
      fault: 'the person had too many devices, and may have another one now',
      inject: async () => {
        const phone = await at.signedIn('lifted@example.com', { device_limit: 0 })
        const { body } = await at.world.api('GET', '/users?user_name=lifted@example.com')
        await at.world.api('PATCH', `/users/${body.items[0].id}`, { device_limit: 2 })
        return at.serialOf(phone)
      },
      ...{ kind: 'ade_device', reason: 'device_limit_exceeded', next: /is gone: set the device up again/ },
    },
    {
      fault: 'it began and did not go on, asked for by its attempt',
      inject: async () => {
        const phone = await at.world.phone(at.open)
        await at.post(phone)
        await at.world.until(async () => (await at.world.attemptOf(phone)).outcome === 'expired', HOUR)
        return (await at.world.attemptOf(phone)).id
      },
      ...{ kind: 'attempt', reason: 'abandoned', next: /^Set the device up again/ },
    },
    {
      fault: 'it is on its way in, asked for by its UDID',
      inject: async () => {
        const phone = await at.world.phone(at.open)
        await at.post(phone)
        return phone.facts.udid.toLowerCase()
      },
      ...{
        kind: 'ade_device',
        reason: 'held_in_setup',
        next: /goes on by itself/,
        says: /at the step profile/,
      },
    },
    {
      fault: 'nothing: it has enrolled',
      inject: async () => {
        const phone = await at.world.phone(at.open)
        expect(await phone.powerOn()).toMatchObject({ outcome: 'enrolled' })
        return (await at.world.attemptOf(phone)).id
      },
      ...{ kind: 'attempt', reason: 'enrolled', next: /^Nothing: this is done/ },
    },
    {
      fault: 'its person removed the enrollment profile, and it may come again',
      inject: async () => {
        const phone = await at.world.phone(at.open)
        await phone.powerOn()
        at.world.clock.advance(1_000)
        await phone.device.checkOut()
        return at.serialOf(phone)
      },
      ...{
        kind: 'device',
        reason: 'unenrolled',
        says: /somebody removed/,
        next: /enrolls by itself under the policy/,
      },
    },
    {
      fault: 'it is held in Setup Assistant for a profile',
      inject: async () => {
        const policy = await at.world.policy({ ade: { await_device_configured: true } })
        const phone = await at.world.phone(policy)
        phone.device.script('DeviceInformation', 'NotNow', 'NotNow', 'NotNow')
        void phone.powerOn()
        await at.world.until(
          async () =>
            (await at.world.api('GET', `/devices/${phone.facts.udid}`)).body.awaiting_configuration === true,
          10,
        )
        return phone.facts.udid
      },
      ...{ kind: 'device', reason: 'held_in_setup', next: /let go by itself/ },
    },
  ]
}
