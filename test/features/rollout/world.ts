import { afterAll } from 'vitest'
import type { Db } from '../../../src/db/index.ts'
import { createProfilesAndSecrets, profilesApi, secretsApi } from '../../../src/features/rollout/index.ts'
import { createSettings } from '../../../src/features/settings/index.ts'
import { signData } from '../../../src/protocol/cms/index.ts'
import { apiWorld, doorsOf, operatorsOf } from '../../support/api-world.ts'
import { testDevice } from '../../support/identities.ts'

/** The identifier of the enrollment profile in these tests. */
export const OURS = 'firstboot.0001.enrollment'
export const PROFILE = { 'content-type': 'application/x-apple-aspen-config' }

/** Profiles and secrets over the database of these tests; each call gives their API, and what they have told and signed from then on. */
export function rolloutWorld(database: () => Db) {
  let made: ReturnType<typeof makeRollout> | undefined
  afterAll(async () => (await made)?.rollout.close())
  return async () => {
    const { rollout, signed, ...more } = await (made ??= makeRollout(database()))
    const { call, http } = await apiWorld({
      ...more,
      operators: operatorsOf(more),
      async routes(app) {
        await app.register(profilesApi(rollout))
        await app.register(secretsApi(rollout))
      },
    })
    more.emitted.length = 0
    signed.length = 0
    return {
      ...more,
      ...rollout,
      call,
      signatures: () => signed.length,
      async download(id: string, query = '') {
        const answer = await http.operator.inject({
          url: `/api/v1/profiles/${id}/content${query}`,
          headers: { authorization: 'Bearer the-admin-token-of-these-tests-0123456789' },
        })
        return {
          ...{ status: answer.statusCode, type: answer.headers['content-type'] },
          ...{ body: answer.body, bytes: answer.rawPayload },
        }
      },
      upload: (content: string | Buffer, query = '') =>
        call('POST', `/profiles${query}`, Buffer.from(content), PROFILE),
      replace: (id: string, content: string | Buffer, query = '', headers: Record<string, string> = {}) =>
        call('PUT', `/profiles/${id}${query}`, Buffer.from(content), { ...PROFILE, ...headers }),
    }
  }
}

async function makeRollout(db: Db) {
  const doors = doorsOf(db)
  const settings = createSettings(doors)
  const signer = await testDevice()
  const signed: Uint8Array[] = []
  const rollout = createProfilesAndSecrets({
    ...doors,
    settings,
    identity: {
      signProfile(content) {
        signed.push(content)
        return signData({ content, signer })
      },
    },
    enrollmentIdentifier: OURS,
  })
  return { ...doors, settings, signer, signed, rollout }
}
