import { person } from '../world/people.ts'
import type { Act } from '../world/stage.ts'

const LOCAL_WAY = "Setup Assistant's own form, an account of this server"
const DIRECTORY_WAY = "Setup Assistant's own form, a directory (WS-Trust)"

/** People who sign in in Setup Assistant's own form. */
export const signInActs: readonly Act[] = [
  {
    phone: 3,
    title: 'A wrong password, then the right one',
    who: 'anna',
    policy: 'sales',
    way: LOCAL_WAY,
    expected: ['sign_in_required', 'invalid_credentials', 'enrolled'],
    play: (stage, actor) => stage.powerOn(actor, 'powered on', person('anna', ['Summer2026'])),
  },
  {
    phone: 4,
    title: 'Her second phone, and her limit is 1',
    who: 'anna',
    policy: 'sales',
    expected: ['sign_in_required', 'device_limit_exceeded'],
  },
  {
    phone: 5,
    title: 'His password expired yesterday',
    who: 'ben',
    policy: 'sales',
    expected: ['sign_in_required', 'password_expired'],
  },
  {
    phone: 6,
    title: 'Her first password must be changed',
    who: 'carla',
    policy: 'sales',
    way: 'a web page, an account of this server, with a new password',
    expected: [
      'sign_in_required',
      'password_change_required',
      'abandoned',
      'password_change_required',
      'enrolled',
    ],
    async play(stage, actor) {
      const carla = person('carla', [], { newPassword: 'a new one, and long enough' })
      await stage.powerOn(actor, "in Setup Assistant's form, where nothing can be changed", carla)
      const { serialNumber } = actor.phone.facts
      const { field } = stage.setup.policies
      await stage.api.call('POST', `/enrollment-policies/${field}/assign`, { serial_numbers: [serialNumber] })
      await stage.api.until(
        `/ade-devices/${serialNumber}`,
        ({ assignment, policy_id }) => policy_id === field && assignment?.state === 'assigned',
      )
      stage.tell('The administrator gives this phone a policy with a web page.')
      actor.phone.erase()
      await stage.powerOn(actor, 'erased, powered on again', carla)
    },
  },
  {
    phone: 7,
    title: 'New here; the directory vouches for her',
    who: 'dora@example.com',
    policy: 'office',
    way: DIRECTORY_WAY,
    expected: ['sign_in_required', 'enrolled'],
  },
  {
    phone: 8,
    title: 'The directory wants a second factor',
    who: 'emil@example.com',
    policy: 'office',
    expected: ['sign_in_required', 'mfa_required'],
  },
  {
    phone: 9,
    title: 'The directory is down for a while',
    who: 'fina@example.com',
    policy: 'office',
    way: DIRECTORY_WAY,
    expected: ['sign_in_required', 'directory_unavailable', 'sign_in_required', 'enrolled'],
    async play(stage, actor) {
      stage.fakes.directory.setMode('down')
      await stage.powerOn(actor, 'powered on', person('fina@example.com'))
      stage.fakes.directory.setMode('up')
      await stage.powerOn(actor, 'once the directory is back', person('fina@example.com'))
    },
  },
  {
    phone: 10,
    title: 'He has left; the enrollment manager helps',
    who: 'georg, helga',
    policy: 'sales',
    expected: ['sign_in_required', 'user_disabled', 'sign_in_required', 'enrollment_manager_not_allowed'],
    async play(stage, actor) {
      await stage.powerOn(actor, 'georg signs in', person('georg'))
      await stage.powerOn(actor, 'helga signs in', person('helga'))
    },
  },
  {
    phone: 11,
    title: 'Nobody of this name works here',
    who: 'zoe',
    policy: 'sales',
    expected: ['sign_in_required', 'user_unknown'],
  },
  {
    phone: 12,
    title: 'A web page with a second factor',
    who: 'ines@example.com',
    policy: 'consultants',
    way: 'the web page of an OpenID provider, with a second factor',
    expected: ['enrolled'],
    play: (stage, actor) =>
      stage.powerOn(actor, 'powered on', person('ines@example.com', [], { oneTimeCode: '418 902' })),
  },
  {
    phone: 13,
    title: 'He has forgotten it, and guesses on',
    who: 'jan',
    policy: 'sales',
    expected: ['sign_in_required', 'invalid_credentials', 'too_many_failures'],
    play: (stage, actor) => {
      const guesses = Array.from({ length: 10 }, (_, index) => `Password${index + 1}`)
      return stage.powerOn(actor, 'eleven passwords, the last one right', person('jan', guesses))
    },
  },
]
