import { createFakeAppleCa } from '../../apple-cloud/apple-ca.ts'
import type { ActivationProfile } from '../../apple-cloud/organization.ts'
import { PORTAL_SERVER } from '../world/setup.ts'
import type { Act, Stage } from '../world/stage.ts'

/** What Apple has defined for the policy of another phone. */
function profileOf(stage: Stage, number: number): string {
  const { profileUuid } = stage.fakes.ade.device(stage.actor(number).phone.facts.serialNumber)
  if (profileUuid === undefined) throw new Error(`Apple has no profile for phone ${number}`)
  return profileUuid
}

/** A phone that takes something else out of its profile than what stands there. */
function withProfile(
  change: (content: ActivationProfile['content']) => ActivationProfile['content'],
): NonNullable<Act['special']> {
  return ({ ade }) => ({
    activate(serialNumber) {
      const profile = ade.activate(serialNumber)
      return profile && { ...profile, content: change(profile.content) }
    },
  })
}

/** Phones that are let in, or not, for what they are. */
export const deviceActs: readonly Act[] = [
  {
    phone: 1,
    title: 'The first phone comes too early',
    policy: 'shared',
    way: 'nobody signs in',
    expected: ['push_certificate_missing', 'enrolled'],
    async play(stage, actor) {
      await stage.powerOn(actor, 'powered on')
      const { apns, topic } = stage.fakes
      const { certificate, key } = await apns.certificates.pushCertificate(topic)
      const pem = `${certificate}${key}`
      await stage.api.call(
        'PUT',
        '/push-certificates?apple_id=admin@example.com',
        pem,
        'application/x-pem-file',
      )
      stage.tell('The administrator stores the push certificate (PUT /push-certificates).')
      await stage.powerOn(actor, 'powered on again')
    },
  },
  {
    phone: 2,
    title: 'A kiosk that must not be used half done',
    policy: 'kiosk',
    way: 'nobody signs in; held until DeviceConfigured',
    special: ({ clock }) => ({ signsAt: clock.now() }),
    expected: ['enrolled', 'machine_info_replayed', 'enrolled'],
    async play(stage, actor) {
      await stage.powerOn(actor, 'powered on')
      await stage.showDeliveries(actor)
      await stage.api.call('PATCH', '/settings', { machine_info_replay: 'refuse' })
      stage.tell('The administrator has copies refused of what devices said before (PATCH /settings).')
      actor.phone.erase()
      await stage.powerOn(actor, 'erased; its clock stands still, so that it says the very same again')
      await stage.api.call('PATCH', '/settings', { machine_info_replay: 'tell' })
      stage.tell('Copies are told and served again.')
      await stage.powerOn(actor, 'powered on again')
    },
  },
  {
    phone: 14,
    title: 'Old, but it can update itself',
    policy: 'current',
    way: 'nobody signs in',
    special: () => ({ newestOs: '26.0', facts: { osVersion: '17.6', buildVersion: '21G80' } }),
    expected: ['os_update_required', 'enrolled'],
    play: (stage, actor) => stage.powerOn(actor, 'powered on, updated on the way'),
  },
  {
    phone: 15,
    title: 'Too old to be told to update',
    policy: 'current',
    special: () => ({ facts: { osVersion: '16.7', buildVersion: '20H19' } }),
    expected: ['os_update_required'],
  },
  {
    phone: 16,
    title: 'Bought this morning; the next sync will know it',
    expected: ['unknown_serial'],
    play(stage, actor) {
      const { serialNumber } = actor.phone.facts
      const { portal } = stage.fakes.ade
      portal.addDevices([{ serialNumber, model: actor.model, deviceFamily: 'iPhone' }], PORTAL_SERVER)
      portal.setProfile(serialNumber, profileOf(stage, 1))
      return stage.powerOn(actor, 'powered on')
    },
  },
  {
    phone: 17,
    title: "Somebody gave it another policy's profile at Apple",
    policy: 'shared',
    expected: ['not_assigned'],
    play(stage, actor) {
      stage.fakes.ade.portal.setProfile(actor.phone.facts.serialNumber, profileOf(stage, 14))
      return stage.powerOn(actor, 'powered on')
    },
  },
  {
    phone: 18,
    title: 'Reported stolen',
    policy: 'shared',
    expected: ['blocked'],
    async play(stage, actor) {
      await stage.api.call('POST', `/ade-devices/${actor.phone.facts.serialNumber}/block`)
      await stage.powerOn(actor, 'powered on by somebody')
    },
  },
  {
    phone: 19,
    title: 'A computer that says it is one of our phones',
    policy: 'shared',
    async special({ clock }) {
      const stranger = await createFakeAppleCa(clock.now())
      let isFirst = true
      return {
        identity: await stranger.deviceIdentity('not-from-apple'),
        chain: stranger.chain,
        changeMachineInfo({ UDID, ...keys }) {
          const said = isFirst && UDID !== undefined ? { ...keys, UDID } : keys
          isFirst = false
          return said
        },
      }
    },
    expected: ['machine_info_untrusted', 'machine_info_invalid'],
    async play(stage, actor) {
      await stage.powerOn(actor, 'signed with a certificate of its own')
      await stage.powerOn(actor, 'the second time without a UDID')
    },
  },
  {
    phone: 20,
    title: 'The address in its profile has a typing error',
    policy: 'shared',
    special: withProfile((content) => ({ ...content, url: `${String(content['url'])}x` })),
    expected: ['unknown_key'],
  },
  {
    phone: 21,
    title: 'It does not know web pages, which its policy asks for',
    policy: 'field',
    special: withProfile((content) => ({ ...content, configuration_web_url: undefined })),
    expected: ['sign_in_required'],
  },
]
