import { fillTemplate } from '../../../kernel/template.ts'

/** Bytes of UTF-8 of the longest name that is given. */
const LONGEST_NAME = 63

/** The name that a template makes for a device, or why it makes none. */
export type WantedName =
  { name: string } | { wanted: string; reason: 'name_too_long' | 'variable_missing'; missing?: string[] }

/** The name of a device by its policy's template, which was checked. */
export function wantedName(
  template: string,
  of: {
    device: {
      serial_number: string | null
      udid: string | null
      product_name: string | null
      os_version: string | null
    }
    user: { user_name: string; email: string | null; display_name: string | null } | undefined
    policy: { name: string }
  },
): WantedName {
  const { device, user, policy } = of
  const values = new Map<string, string | null | undefined>([
    ['device.serial_number', device.serial_number],
    ['device.udid', device.udid],
    ['device.product_name', device.product_name],
    ['device.os_version', device.os_version],
    ['user.user_name', user?.user_name],
    ['user.email', user?.email],
    ['user.display_name', user?.display_name],
    ['policy.name', policy.name],
  ])
  const filled = fillTemplate(template, values)
  if (!filled.ok) return { wanted: template, reason: 'variable_missing', missing: filled.missing }
  const name = filled.text.trim()
  if (Buffer.byteLength(name) > LONGEST_NAME) return { wanted: name, reason: 'name_too_long' }
  return { name }
}
