import { mobileconfig } from './mobileconfig.ts'
import { ipa } from './zip.ts'

/** What a call needs: things that were made for it, by the first part of their addresses. */
export type Things = Record<string, string>
/** A call that does something, and the events that tell of it. */
interface Call {
  path: (things: Things) => string
  body?: (things: Things) => unknown
  tells: string[]
  /** What the device shows once it has answered, which the next calls need. */
  shows?: Record<string, Record<string, unknown>>
}

/** A good call of every route that changes something, in an order in which all of them work. */
export const CALLS: Readonly<Record<string, Call>> = {
  'POST /users': {
    path: () => '/users',
    body: () => ({ user_name: 'ada' }),
    tells: ['user.created'],
  },
  'POST /approvals/{id}/approve': {
    path: ({ toApprove }) => `/approvals/${toApprove}/approve`,
    tells: ['approval.approved'],
  },
  'POST /approvals/{id}/reject': {
    path: ({ toReject }) => `/approvals/${toReject}/reject`,
    tells: ['approval.rejected'],
  },
  'POST /approvals/{id}/cancel': {
    path: ({ toCancel }) => `/approvals/${toCancel}/cancel`,
    tells: ['approval.cancelled'],
  },
  'POST /governor/stop': {
    path: () => '/governor/stop',
    body: () => ({ reason: 'a strange wipe' }),
    tells: ['governor.stopped', 'command.cancelled'],
  },
  'POST /governor/resume': {
    path: () => '/governor/resume',
    body: () => ({ reason: 'a drill' }),
    tells: ['governor.resumed'],
  },
  'PUT /governor': {
    path: () => '/governor',
    body: () => ({ acts: { erase: { per_hour: 19 } } }),
    tells: ['governor.changed'],
  },
  'PATCH /users/{id}': {
    path: ({ users }) => `/users/${users}`,
    body: () => ({ display_name: 'Ada' }),
    tells: ['user.updated'],
  },
  'POST /groups': {
    path: () => '/groups',
    body: () => ({ name: 'Sales' }),
    tells: ['group.created'],
  },
  'PATCH /groups/{id}': {
    path: ({ groups }) => `/groups/${groups}`,
    body: () => ({ name: 'Sale' }),
    tells: ['group.updated'],
  },
  'POST /groups/{id}/members': {
    path: ({ groups }) => `/groups/${groups}/members`,
    body: ({ devices }) => ({ device_ids: [devices] }),
    tells: ['group.updated', 'group.members_changed'],
  },
  'DELETE /groups/{id}/members/{device_id}': {
    path: ({ groups, devices }) => `/groups/${groups}/members/${devices}`,
    tells: ['group.updated', 'group.members_changed'],
  },
  'PUT /groups/{id}/members': {
    path: ({ groups }) => `/groups/${groups}/members`,
    body: ({ devices }) => ({ device_ids: [devices] }),
    tells: ['group.updated', 'group.members_changed'],
  },
  'POST /groups/preview': {
    path: () => '/groups/preview',
    body: () => ({ rule: { fact: 'supervised', op: 'eq', value: true } }),
    tells: [],
  },
  // A name that has no address, so that nothing is called.
  'POST /webhooks': {
    path: () => '/webhooks',
    body: () => ({ url: 'https://hooks.invalid/x', enabled: false }),
    tells: ['webhook.created'],
  },
  'PATCH /webhooks/{id}': {
    path: ({ webhooks }) => `/webhooks/${webhooks}`,
    body: () => ({ name: 'Hook' }),
    tells: ['webhook.updated'],
  },
  'POST /webhooks/{id}/test': { path: ({ webhooks }) => `/webhooks/${webhooks}/test`, tells: [] },
  'POST /webhooks/{id}/replay': {
    path: ({ webhooks }) => `/webhooks/${webhooks}/replay`,
    body: () => ({ after: '0' }),
    tells: ['webhook.replayed'],
  },
  'DELETE /webhooks/{id}': { path: ({ webhooks }) => `/webhooks/${webhooks}`, tells: ['webhook.deleted'] },
  'PUT /secrets/{name}': {
    path: () => '/secrets/psk',
    body: () => ({ value: 'x' }),
    tells: ['secret.set'],
  },
  'DELETE /secrets/{name}': { path: () => '/secrets/psk', tells: ['secret.deleted'] },
  'POST /profiles': {
    path: () => '/profiles',
    body: () => Buffer.from(mobileconfig()),
    tells: ['profile.created'],
  },
  'PUT /profiles/{id}': {
    path: ({ profiles }) => `/profiles/${profiles}?rollout=true`,
    body: () => Buffer.from(mobileconfig({ PayloadDisplayName: 'Another' })),
    tells: ['profile.updated'],
  },
  'PATCH /profiles/{id}': {
    path: ({ profiles }) => `/profiles/${profiles}`,
    body: () => ({ name: 'Other' }),
    tells: ['profile.updated'],
  },
  'POST /apps': {
    path: () => '/apps',
    body: () => ({ kind: 'enterprise', name: 'App' }),
    tells: ['app.created'],
  },
  'PUT /apps/{id}/package': {
    path: ({ apps }) => `/apps/${apps}/package`,
    body: () => ipa(),
    tells: ['app.updated'],
  },
  'PATCH /apps/{id}': {
    path: ({ apps }) => `/apps/${apps}`,
    body: () => ({ name: 'Other' }),
    tells: ['app.updated'],
  },
  'PUT /groups/{id}/contents': {
    path: ({ groups }) => `/groups/${groups}/contents`,
    body: ({ profiles }) => ({ items: [{ kind: 'profile', id: profiles }] }),
    tells: ['group.contents_changed'],
  },
  'POST /changes/{id}/stop': {
    path: ({ changes }) => `/changes/${changes}/stop`,
    tells: ['change.stopped'],
  },
  'POST /predictions': {
    path: () => '/predictions',
    body: ({ devices }) => ({ device_id: devices }),
    tells: [],
  },
  'POST /profiles/{id}/deliveries/retry': {
    path: ({ profiles }) => `/profiles/${profiles}/deliveries/retry`,
    body: () => ({ force: true }),
    tells: ['delivery.retried'],
  },
  'POST /apps/{id}/deliveries/retry': {
    path: ({ apps }) => `/apps/${apps}/deliveries/retry`,
    tells: ['delivery.retried'],
  },
  'POST /devices/{id}/deliveries/retry': {
    path: ({ devices }) => `/devices/${devices}/deliveries/retry`,
    tells: ['delivery.retried'],
  },
  'POST /rollouts': {
    path: () => '/rollouts',
    body: ({ profiles }) => ({
      ...{ kind: 'profile', id: profiles },
      rings: [{ percent: 10 }, { percent: 50 }, { percent: 100 }],
    }),
    tells: ['rollout.started'],
  },
  'POST /rollouts/{id}/advance': {
    path: ({ rollouts }) => `/rollouts/${rollouts}/advance`,
    tells: ['rollout.advanced'],
  },
  'POST /rollouts/{id}/halt': {
    path: ({ rollouts }) => `/rollouts/${rollouts}/halt`,
    tells: ['rollout.halted'],
  },
  'POST /rollouts/{id}/resume': {
    path: ({ rollouts }) => `/rollouts/${rollouts}/resume`,
    tells: ['rollout.resumed'],
  },
  'POST /rollouts/{id}/roll-back': {
    path: ({ rollouts }) => `/rollouts/${rollouts}/roll-back`,
    tells: ['rollout.rolled_back'],
  },
  'DELETE /groups/{id}': {
    path: ({ groups }) => `/groups/${groups}`,
    tells: ['group.members_changed', 'group.deleted'],
  },
  'DELETE /apps/{id}': { path: ({ apps }) => `/apps/${apps}`, tells: ['app.deleted'] },
  'DELETE /profiles/{id}': { path: ({ profiles }) => `/profiles/${profiles}`, tells: ['profile.deleted'] },
  'POST /enrollment-policies': {
    path: () => '/enrollment-policies',
    body: () => ({ name: 'Phones', ade: { enabled: true } }),
    tells: ['policy.created', 'group.created'],
  },
  'PATCH /enrollment-policies/{id}': {
    path: ({ 'enrollment-policies': id }) => `/enrollment-policies/${id}`,
    body: () => ({ name: 'All phones' }),
    tells: ['policy.updated', 'group.updated'],
  },
  'POST /enrollment-policies/{id}/unassign': {
    path: ({ policy }) => `/enrollment-policies/${policy}/unassign`,
    body: ({ serial }) => ({ serial_numbers: [serial] }),
    tells: ['ade_device.policy_set'],
  },
  'POST /enrollment-policies/{id}/assign': {
    path: ({ policy }) => `/enrollment-policies/${policy}/assign`,
    body: ({ serial }) => ({ serial_numbers: [serial] }),
    tells: ['ade_device.policy_set'],
  },
  'DELETE /enrollment-policies/{id}': {
    path: ({ 'enrollment-policies': id }) => `/enrollment-policies/${id}`,
    tells: ['policy.deleted', 'group.deleted'],
  },
  'PATCH /settings': {
    path: () => '/settings',
    body: () => ({ default_device_limit: 7 }),
    tells: ['settings.changed'],
  },
  'POST /sign-in-sources': {
    path: () => '/sign-in-sources',
    body: () => ({ kind: 'ws_trust', name: 'Directory', url: 'https://127.0.0.1:9/' }),
    tells: ['signin_source.created'],
  },
  'PATCH /sign-in-sources/{id}': {
    path: ({ 'sign-in-sources': id }) => `/sign-in-sources/${id}`,
    body: () => ({ name: 'The directory' }),
    tells: ['signin_source.updated'],
  },
  'POST /sign-in-sources/{id}/test': {
    path: ({ 'sign-in-sources': id }) => `/sign-in-sources/${id}/test`,
    body: () => ({ user_name: 'ada', password: 'x' }),
    tells: [],
  },
  'DELETE /sign-in-sources/{id}': {
    path: ({ 'sign-in-sources': id }) => `/sign-in-sources/${id}`,
    tells: ['signin_source.deleted'],
  },
  'POST /api-tokens': {
    path: () => '/api-tokens',
    body: () => ({ name: 'ci', role: 'viewer' }),
    tells: ['api_token.created'],
  },
  'DELETE /api-tokens/{id}': {
    path: ({ 'api-tokens': id }) => `/api-tokens/${id}`,
    tells: ['api_token.deleted'],
  },
  'POST /enrollment-links': {
    path: () => '/enrollment-links',
    body: () => ({}),
    tells: ['enrollment_link.created'],
  },
  'DELETE /enrollment-links/{id}': {
    path: ({ 'enrollment-links': id }) => `/enrollment-links/${id}`,
    tells: ['enrollment_link.revoked'],
  },
  'PUT /push-certificates': {
    path: () => '/push-certificates',
    body: ({ pem }) => pem,
    tells: ['push_certificate.stored'],
  },
  'POST /push-certificate-requests': {
    path: () => '/push-certificate-requests',
    tells: ['push_certificate.requested'],
  },
  'PUT /push-certificate-requests/{id}/certificate': {
    path: ({ 'push-certificate-requests': id }) => `/push-certificate-requests/${id}/certificate`,
    body: ({ requested }) => requested,
    tells: ['push_certificate.stored'],
  },
  'POST /ade-servers': {
    path: () => '/ade-servers',
    body: () => ({ name: 'Other' }),
    tells: ['ade_server.created'],
  },
  'PATCH /ade-servers/{id}': {
    path: ({ 'ade-servers': id }) => `/ade-servers/${id}`,
    body: () => ({ name: 'Another' }),
    tells: ['ade_server.updated'],
  },
  'POST /ade-servers/{id}/encryption-key': {
    path: ({ 'ade-servers': id }) => `/ade-servers/${id}/encryption-key`,
    tells: ['ade_server.updated'],
  },
  'PUT /ade-servers/{id}/default-policy': {
    path: ({ 'ade-servers': id }) => `/ade-servers/${id}/default-policy`,
    body: ({ policy }) => ({ policy_id: policy }),
    tells: ['ade_server.updated'],
  },
  'PUT /ade-servers/{id}/token': {
    path: ({ 'ade-servers': id }) => `/ade-servers/${id}/token?apple_id=admin@example.com`,
    tells: ['ade_server.token_stored', 'ade_sync.started'],
  },
  'POST /ade-servers/{id}/syncs': {
    path: ({ server }) => `/ade-servers/${server}/syncs`,
    tells: ['ade_sync.started'],
  },
  'DELETE /ade-servers/{id}': {
    path: ({ 'ade-servers': id }) => `/ade-servers/${id}?force=true`,
    tells: ['ade_server.deleted'],
  },
  'POST /ade-devices/{serial_number}/block': {
    path: ({ serial }) => `/ade-devices/${serial}/block`,
    tells: ['ade_device.blocked'],
  },
  'POST /ade-devices/{serial_number}/unblock': {
    path: ({ serial }) => `/ade-devices/${serial}/unblock`,
    tells: ['ade_device.unblocked'],
  },
  'POST /ade-devices/{serial_number}/release': {
    path: ({ serial }) => `/ade-devices/${serial}/release`,
    body: ({ serial }) => ({ confirm: serial }),
    tells: ['ade_device.released'],
  },
  'POST /commands': {
    path: () => '/commands',
    body: ({ devices }) => ({ request_type: 'ProfileList', device_ids: [devices] }),
    tells: ['command.queued'],
  },
  'DELETE /commands/{uuid}': {
    path: ({ commands }) => `/commands/${commands}`,
    tells: ['command.cancelled'],
  },
  'POST /devices/{id}/lock': {
    path: ({ devices }) => `/devices/${devices}/lock`,
    body: () => ({ message: 'Mine' }),
    tells: ['command.queued'],
  },
  'POST /devices/{id}/clear-passcode': {
    path: ({ devices }) => `/devices/${devices}/clear-passcode`,
    tells: ['command.queued'],
  },
  'POST /devices/{id}/rename': {
    path: ({ devices }) => `/devices/${devices}/rename`,
    body: () => ({ device_name: 'Ada' }),
    tells: ['command.queued'],
  },
  'POST /devices/{id}/refresh': {
    path: ({ devices }) => `/devices/${devices}/refresh`,
    tells: ['command.queued'],
  },
  'POST /devices/{id}/lost-mode': {
    path: ({ devices }) => `/devices/${devices}/lost-mode`,
    body: () => ({ enabled: true, message: 'Lost' }),
    shows: { lost_mode: { on: true } },
    tells: ['command.queued'],
  },
  'POST /devices/{id}/locate': {
    path: ({ devices }) => `/devices/${devices}/locate`,
    tells: ['command.queued'],
  },
  'POST /devices/{id}/restart': {
    path: ({ devices }) => `/devices/${devices}/restart`,
    tells: ['command.queued'],
  },
  'POST /devices/{id}/shut-down': {
    path: ({ devices }) => `/devices/${devices}/shut-down`,
    tells: ['command.queued'],
  },
  'POST /devices/{id}/erase': {
    path: ({ devices }) => `/devices/${devices}/erase`,
    body: () => ({}),
    tells: ['command.queued'],
  },
  'POST /devices/{id}/push': { path: ({ devices }) => `/devices/${devices}/push`, tells: [] },
  'POST /devices/{id}/allow-re-enrollment': {
    path: ({ devices }) => `/devices/${devices}/allow-re-enrollment`,
    tells: ['enrollment.re_enrollment_allowed'],
  },
  'POST /devices/{id}/unenroll': {
    path: ({ devices }) => `/devices/${devices}/unenroll`,
    tells: ['command.queued'],
  },
  'DELETE /devices/{id}': {
    path: ({ devices }) => `/devices/${devices}?force=true`,
    tells: ['device.unenrolled', 'device.deleted', 'command.cancelled', 'group.members_changed'],
  },
  'DELETE /users/{id}': { path: ({ users }) => `/users/${users}`, tells: ['user.deleted'] },
}
