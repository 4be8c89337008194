import { randomUUID } from 'node:crypto'
import { createFakeAppleCa } from '../../apple-cloud/apple-ca.ts'
import { startFakeAde } from '../../apple-cloud/fake-ade.ts'
import { startFakeOidc } from '../../directories/fake-oidc.ts'
import { startFakeDirectory } from '../../directories/fake-wstrust.ts'
import { startFakeApns } from '../../push-service/fake-apns.ts'
import { createDeviceHttp } from '../../wire/device-http.ts'
import type { DemoClock } from './clock.ts'
import { DIRECTORY_USERS, PROVIDER_USERS } from './people.ts'

/** Everything around the server that is not there in a demo: Apple, a directory, an OpenID provider. */
export type Fakes = Awaited<ReturnType<typeof startFakes>>

const ORGANIZATION = 'Example AG'
/** How Firstboot is registered at the provider. */
export const OIDC_CLIENT = { clientId: 'firstboot', clientSecret: 'a-secret-of-the-demo' }

/** Starts the cloud, the push service, the directory and the provider, each on a free port of loopback. */
export async function startFakes(clock: DemoClock) {
  const ade = await startFakeAde({ clock, organization: ORGANIZATION })
  const apns = await startFakeApns({ clock })
  const directory = await startFakeDirectory({ clock, users: DIRECTORY_USERS })
  const provider = await startFakeOidc({ clock, ...OIDC_CLIENT, users: PROVIDER_USERS })
  const ca = await createFakeAppleCa(clock.now())
  const http = createDeviceHttp()
  return {
    clock,
    ade,
    apns,
    directory,
    provider,
    ca,
    http,
    topic: `com.apple.mgmt.External.${randomUUID()}`,
    async close(): Promise<void> {
      http.close()
      await Promise.all([ade.close(), apns.close(), directory.close(), provider.close()])
    },
  }
}
