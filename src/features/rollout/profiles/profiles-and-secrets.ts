import type { Db } from '../../../db/index.ts'
import type { Clock } from '../../../kernel/clock.ts'
import type { SecretBox } from '../../../kernel/secret-box.ts'
import { createProfileReader } from '../../../protocol/mobileconfig/index.ts'
import type { DeviceIdentity } from '../../device-identity/index.ts'
import type { Events } from '../../events/index.ts'
import type { SettingsDoor } from '../../settings/index.ts'
import { createProfiles } from './profiles.ts'
import { createRendering, payloadUuidOf, renderingOf } from './rendering.ts'
import { createRevisions } from './revisions.ts'
import { createUploads } from './uploads.ts'
import { createSecrets } from '../secrets/secrets.ts'

/** Configuration profiles: what is known of them, and how devices get them. */
export type Profiles = ReturnType<typeof createProfilesAndSecrets>['profiles']

/** The secrets, and the profiles that name them. */
export function createProfilesAndSecrets(deps: {
  db: Db
  clock: Clock
  events: Pick<Events, 'emit'>
  settings: Pick<SettingsDoor, 'get'>
  identity: Pick<DeviceIdentity, 'signProfile'>
  secretBox: SecretBox
  /** The identifier of the enrollment profile. */
  enrollmentIdentifier: string
}) {
  const reader = createProfileReader()
  const secrets = createSecrets(deps)
  const revisions = createRevisions()
  const check = createUploads({ ...deps, reader, ours: deps.enrollmentIdentifier })
  const profiles = createProfiles({ ...deps, reader, check })
  const render = createRendering({
    reader,
    secrets,
    factsOf: revisions.findOne,
    open: profiles.open,
    sign: deps.identity.signProfile,
  })

  return {
    secrets,
    profiles: { ...profiles, findRevisions: revisions.find, renderingOf, payloadUuidOf, render },
    /** Ends the threads. */
    close: (): Promise<void> => reader.close(),
  }
}
