import type { Metrics } from '../../kernel/metrics.ts'
import type { MessageReader } from '../../protocol/mdm/index.ts'
import type { Commands } from '../commands/index.ts'
import type { DeviceIdentity } from '../device-identity/index.ts'
import type { DeviceMessages } from '../events/index.ts'
import type { Deliveries } from '../rollout/index.ts'
import type { SetupRelease } from '../setup-release/index.ts'
import { createCheckin, type CheckinDeps } from './checkin.ts'
import { createConnect } from './connect.ts'
import { mdmRoutes } from './routes.ts'

export { authProxyRoutes } from './proxy/routes.ts'

/** Makes the device endpoints: their routes, and what shutdown waits for. */
export function createMdmEndpoints(
  deps: CheckinDeps & {
    metrics: Metrics
    reader: MessageReader
    commands: Commands
    identity: DeviceIdentity
    deliveries: Pick<Deliveries, 'render'>
    setupRelease: Pick<SetupRelease, 'commandEnded' | 'wake'>
    deviceMessages: DeviceMessages
  },
) {
  const checkin = createCheckin(deps)
  const connect = createConnect(deps)
  return {
    routes: mdmRoutes({ ...deps, checkin, connect }),
    /** Answers when nothing is in flight any more. */
    async idle(): Promise<void> {
      await Promise.all([deps.enrollment.idle(), connect.idle(), deps.deviceMessages.idle()])
    },
  }
}
