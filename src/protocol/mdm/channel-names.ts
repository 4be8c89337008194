import type { ChannelIdentity } from './identity.ts'

/** NanoMDM's names of the kinds of channel, which the programs that work with it know. */
export const CHANNEL_NAMES = {
  device: 'Device',
  user: 'User',
  user_enrollment_device: 'User Enrollment (Device)',
  user_enrollment_user: 'User Enrollment',
  shared_ipad_user: 'Shared iPad',
} as const satisfies Record<ChannelIdentity['type'], string>
