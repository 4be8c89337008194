import { type TBoolean, type TOptional, Type } from 'typebox'
import { type Field, field } from './field-schema.ts'
import { flag } from './kinds-schema.ts'

/** The panes of Setup Assistant that a policy shows or hides. A hidden `restore` hides all of its ways. */
export const PANES = {
  passcode: pane('Passcode.', 'Passcode'),
  location_services: pane('Location services.', 'Location'),
  restore: pane('Restore.', 'Restore', 'Android', 'DeviceToDeviceMigration'),
  apple_id: pane('Apple Account.', 'AppleID'),
  terms_and_conditions: pane('Terms and conditions.', 'TOS'),
  touch_id: pane('Touch ID and Face ID.', 'Biometric'),
  apple_pay: pane('Apple Pay.', 'Payment'),
  zoom: pane('Zoom.', 'Zoom'),
  siri: pane('Siri.', 'Siri'),
  diagnostics: pane('Diagnostics.', 'Diagnostics'),
}

function pane(description: string, ...skipKeys: string[]): Field<TOptional<TBoolean>> {
  const kind = flag(description)
  return field({ ...kind, schema: Type.Optional(kind.schema) }, true, {
    profile: (isShown) => ({ skip_setup_items: isShown ? [] : skipKeys }),
  })
}
