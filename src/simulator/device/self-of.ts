import type { Random } from '../random.ts'
import type { Channel } from './channel.ts'
import type { DeviceSelf } from './commands/self.ts'
import { presentOf, type DeviceState } from './state.ts'

const CODE_ALPHABET = '0123456789ACDEFGHJKLMNPQRTUVWXYZ'
const CODE_GROUPS = [5, 5, 4, 4, 4, 4]

/** What of a device does not change. */
export interface SelfOptions {
  random: Random
  appCount?: number
  sharedUsers?: boolean
  viaAde?: boolean
}

/** The device as a command on that channel finds it. */
export function selfOf(state: DeviceState, options: SelfOptions, channel: Channel): DeviceSelf {
  const { facts, condition, holding, awaiting, ids, own } = state
  const { appCount = 5, sharedUsers = false, viaAde = false, random } = options
  const { profile, identity } = presentOf(state)
  return {
    facts,
    condition,
    holding,
    channel: channel.kind,
    // A phone has one set of profiles, whoever brought them; a Mac has one for each of its users too.
    profiles: facts.platform === 'macos' || sharedUsers ? channel.profiles : own.profiles,
    enrollmentIdentifier: profile.configuration.identifier,
    accessRights: profile.accessRights,
    appCount,
    awaitingConfiguration: awaiting,
    sharedUsers,
    isPersonal: 'EnrollmentID' in ids,
    viaAde,
    certificate: identity.certificate,
    get bypassCode() {
      const digits = random.fork(`bypass code ${state.lives}`)
      return CODE_GROUPS.map((length) => digits.text(length, CODE_ALPHABET)).join('-')
    },
    now: state.now(),
  }
}
