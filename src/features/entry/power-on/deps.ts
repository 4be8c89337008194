import type { Log } from '../../../kernel/log.ts'
import type { MachineInfoTrust } from '../../../protocol/ade/index.ts'
import type { Attempts, Strangers } from '../../attempts/index.ts'
import type { DeviceIdentity } from '../../device-identity/index.ts'
import type { Events } from '../../events/index.ts'
import type { Push } from '../../push/index.ts'
import type { Settings } from '../../settings/index.ts'
import type { Signin } from '../../signin/index.ts'
import type { Users } from '../../users/index.ts'
import type { PersonDeps } from './person.ts'
import type { RecordDeps } from './record.ts'

/** What the ways in at power-on and at the enrollment page are made of. */
export interface EntryDeps extends PersonDeps, Pick<RecordDeps, 'db' | 'clock'> {
  log: Log
  events: Pick<Events, 'announce'>
  attempts: RecordDeps['attempts'] &
    Pick<Attempts, 'find' | 'hasProfile' | 'lock' | 'note' | 'refuseStep' | 'reject' | 'repeat' | 'step'>
  strangers: Pick<Strangers, 'note'>
  push: { certificates: Pick<Push['certificates'], 'current'> }
  users: PersonDeps['users'] & Pick<Users, 'find' | 'lock'>
  identity: RecordDeps['identity'] & Pick<DeviceIdentity, 'newChallenge' | 'signProfile' | 'voidChallenges'>
  signin: Pick<Signin, 'changePassword' | 'oidc' | 'sessions' | 'sources' | 'verify'>
  settings: { get(): Promise<Settings> }
  trust: MachineInfoTrust
  publicUrl: string
  instanceId: string
}
