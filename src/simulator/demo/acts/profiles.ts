import { createOwnKeys, editProfile } from '../world/forgery.ts'
import { person } from '../world/people.ts'
import { PORTAL_SERVER } from '../world/setup.ts'
import type { Act, Actor, Stage } from '../world/stage.ts'

const OTHER_TOPIC = 'com.apple.mgmt.External.00000000-0000-4000-8000-000000000000'

const tinkererKeys = createOwnKeys()

/** Installs a profile that lies there, or that a link gives. */
function install(
  stage: Stage,
  { phone }: Actor,
  doing: string,
  source: { url: string } | { profile: Buffer },
) {
  return stage.attempt(doing, async () => {
    const outcome = await phone.device.enroll(source)
    return {
      screen: outcome.enrolled ? 'Profile Installed' : `Profile Installation Failed (${outcome.step})`,
      isEnrolled: outcome.enrolled,
    }
  })
}

async function newLink(stage: Stage, options: Record<string, unknown>): Promise<{ id: string; url: string }> {
  return stage.api.call('POST', '/enrollment-links', options)
}

/** The profile that a link gives at this moment. */
async function fetchProfile(stage: Stage): Promise<Buffer> {
  const { url } = await newLink(stage, { uses: 1 })
  return Buffer.from(await (await fetch(url)).arrayBuffer())
}

function profileAt(actor: Actor, index: number): Buffer {
  const profile = actor.tap.profiles[index]
  if (profile === undefined) throw new Error(`phone ${actor.number} has no profile ${index}`)
  return profile
}

/** Enrollment profiles that come late, twice, changed, or into the wrong hands. */
export const profileActs: readonly Act[] = [
  {
    phone: 22,
    title: 'A weak battery',
    policy: 'shared',
    // The attempt that is given up keeps its last refusal as its reason.
    expected: ['challenge_expired'],
    async play(stage, actor) {
      const { clock } = stage.fakes
      actor.tap.setBattery('weak')
      await stage.powerOn(actor, 'powered on; the battery is empty when it has its profile')
      clock.catchUp()
      stage.tell(`${clock.minutes} minutes pass (the demo moves its clock).`)
      actor.tap.setBattery('charged')
      await install(stage, actor, 'charged, it goes on with that profile', { profile: profileAt(actor, 0) })
      actor.tap.setBattery('weak')
      actor.phone.erase()
      await stage.powerOn(actor, 'erased and powered on; empty again')
    },
  },
  {
    phone: 23,
    title: 'A tinkerer with copies of profiles',
    special: () => ({ keys: tinkererKeys }),
    expected: ['csr_rejected', 'certificate_mismatch', 'challenge_invalid', 'topic_mismatch'],
    async play(stage, actor) {
      const victim = stage.actor(22)
      tinkererKeys.useWeak(true)
      await install(stage, actor, "with phone 22's new profile and an RSA key of 1024 bits", {
        profile: profileAt(victim, 1),
      })
      tinkererKeys.useWeak(false)
      await install(stage, actor, "with phone 22's new profile", { profile: profileAt(victim, 1) })
      await install(stage, actor, "with phone 22's old one", { profile: profileAt(victim, 0) })
      const edited = await editProfile(
        await fetchProfile(stage),
        [stage.fakes.topic, OTHER_TOPIC],
        stage.fakes.clock.now(),
      )
      await install(stage, actor, 'from a link, with the push topic edited', { profile: edited })
    },
  },
  {
    phone: 22,
    title: 'The weak battery again, on a charger',
    way: 'nobody signs in',
    expected: ['challenge_used', 'enrolled'],
    async play(stage, actor) {
      actor.tap.setBattery('charged')
      await install(stage, actor, 'with the profile that the tinkerer has used', {
        profile: profileAt(actor, 1),
      })
      actor.phone.erase()
      await stage.powerOn(actor, 'erased and powered on')
    },
  },
  {
    phone: 24,
    title: 'Her own phone, which the company then buys',
    who: 'karin',
    way: 'an enrollment link',
    expected: ['enrolled', 'unenrolled_by_assignment', 'enrolled', 'owned_by_another', 'enrolled'],
    async play(stage, actor) {
      const { serialNumber } = actor.phone.facts
      await install(stage, actor, 'enrolled by a link for one phone', { url: stage.setup.links.single })
      await stage.attempt('then bought, synced and given a policy', async () => {
        const { portal } = stage.fakes.ade
        portal.addDevices([{ serialNumber, model: actor.model, deviceFamily: 'iPhone' }], PORTAL_SERVER)
        await stage.api.call('POST', `/ade-servers/${stage.setup.adeServerId}/syncs`)
        await stage.api.until(`/devices/${actor.phone.facts.udid}`, ({ state }) => state === 'unenrolled')
        return { screen: 'Home Screen; the management profile is gone', isEnrolled: false }
      })
      await stage.api.until(`/ade-devices/${serialNumber}`, (known) => known.assignment?.state === 'assigned')
      actor.phone.erase()
      await stage.powerOn(actor, 'erased and powered on')
      const { url } = await newLink(stage, { uses: 1 })
      await install(stage, actor, 'a link again, which would take it away from the company', { url })
      actor.phone.erase()
      await stage.powerOn(actor, 'erased and powered on once more')
    },
  },
  {
    phone: 25,
    title: 'A mail full of old links',
    who: 'lukas',
    way: 'the page /enroll',
    expected: ['link_revoked', 'link_expired', 'link_used_up', 'enrolled'],
    async play(stage, actor) {
      const { short, single } = stage.setup.links
      const revoked = await newLink(stage, { uses: 5 })
      await stage.api.call('DELETE', `/enrollment-links/${revoked.id}`)
      await install(stage, actor, 'a link that was revoked', { url: revoked.url })
      await install(stage, actor, 'a link that was good for ten minutes', { url: short })
      await install(stage, actor, "phone 24's link", { url: single })
      await stage.enrollOnPage(
        actor,
        'signs in at /enroll and downloads the profile',
        person('lukas', [], { link: /download/i }),
      )
    },
  },
]
