import { afterAll, beforeAll, beforeEach } from 'vitest'
import { createHttpClient } from '../../src/kernel/http-client.ts'
import { createAdeClient, openServerToken } from '../../src/protocol/ade/index.ts'
import type { AdeClient, AdeError, OAuthCredentials } from '../../src/protocol/ade/index.ts'
import { createLeaf, writePem } from '../../src/protocol/x509/index.ts'
import type { Identity } from '../../src/protocol/x509/index.ts'
import { startFakeAde } from '../../src/simulator/index.ts'
import type { FakeAde } from '../../src/simulator/index.ts'
import { TEST_VALIDITY } from '../support/identities.ts'
import { testKey } from '../support/keys.ts'
import { manualClock } from '../support/manual-clock.ts'
import type { ManualClock } from '../support/manual-clock.ts'

/** A fake cloud with one server, `phones`, and the real client for it; new for each test. */
export interface AdeStage {
  ade: FakeAde
  clock: ManualClock
  client: AdeClient
  token: OAuthCredentials
  /** For the token file. */
  key: Identity
  certificatePem: string
  clientFor(p7m: Uint8Array): Promise<AdeClient>
  /** The error of a call that must fail. */
  failure(call: Promise<unknown>): Promise<AdeError>
  kinds(): string[]
}

/** A profile that Apple takes. */
export const GOOD_PROFILE = { profile_name: 'Phones', url: 'https://mdm.example.com/enroll/ade/k' }

/** Sets the stage for the tests of a file. */
export function useAdeStage(): AdeStage {
  const stage = {} as AdeStage
  const userAgent = 'Firstboot/test'

  beforeAll(async () => {
    stage.key = await createLeaf({ subject: [['CN', 'token']], key: testKey('other'), ...TEST_VALIDITY })
    stage.certificatePem = writePem('CERTIFICATE', stage.key.certificate.der)
  })
  beforeEach(async () => {
    await stage.ade?.close()
    const clock = manualClock(new Date('2026-11-25T08:00:00Z'))
    stage.clock = clock
    stage.ade = await startFakeAde({ clock })
    const p7m = stage.ade.portal.addServer({ name: 'phones', certificatePem: stage.certificatePem })
    stage.client = await stage.clientFor(p7m)
  })
  afterAll(() => stage.ade.close())

  stage.clientFor = async (p7m) => {
    stage.token = await openServerToken(p7m, [stage.key])
    const { clock, token } = stage
    const http = createHttpClient({ timeoutMs: 10_000, maxBytes: 64 << 20, userAgent, clock })
    return createAdeClient({ baseUrl: stage.ade.url, token, http, clock, userAgent })
  }
  stage.failure = (call) =>
    call.then(
      (value) => Promise.reject(new Error(`it succeeded: ${JSON.stringify(value)}`)),
      (error: unknown) => error as AdeError,
    )
  stage.kinds = () => stage.ade.violations.map(({ kind }) => kind)
  return stage
}
