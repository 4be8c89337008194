import type { AdeTables } from './ade.ts'
import type { AttemptsTables } from './attempts.ts'
import type { CommandsTables } from './commands.ts'
import type { DeviceIdentityTables } from './device-identity.ts'
import type { DevicesTables } from './devices.ts'
import type { EnrollmentPoliciesTables } from './enrollment-policies.ts'
import type { EnrollmentTables } from './enrollment.ts'
import type { EntryTables } from './entry.ts'
import type { EventsTables } from './events.ts'
import type { GovernorTables } from './governor.ts'
import type { GroupsTables } from './groups.ts'
import type { InventoryTables } from './inventory.ts'
import type { OperatorsTables } from './operators.ts'
import type { PushTables } from './push.ts'
import type { RolloutTables } from './rollout.ts'
import type { SetupReleaseTables } from './setup-release.ts'
import type { SettingsTables } from './settings.ts'
import type { SigninTables } from './signin.ts'
import type { UsersTables } from './users.ts'

/** Every table of the schema; each feature's own are in the file of its name. */
export interface Database
  extends
    SettingsTables,
    EventsTables,
    GovernorTables,
    UsersTables,
    OperatorsTables,
    AttemptsTables,
    DevicesTables,
    PushTables,
    CommandsTables,
    InventoryTables,
    DeviceIdentityTables,
    EnrollmentTables,
    EntryTables,
    EnrollmentTables,
    SetupReleaseTables,
    SigninTables,
    GroupsTables,
    EnrollmentPoliciesTables,
    AdeTables,
    RolloutTables {}
