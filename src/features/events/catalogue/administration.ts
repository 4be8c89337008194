import { Type } from 'typebox'
import { text, textOrNull, time } from '../../../kernel/schema.ts'
import { changed, changes, flag, info, number, texts, warn, type Kinds } from './kind.ts'

const apiToken = {
  api_token_id: text('The API token.'),
  name: text('Its name.'),
  role: text('Its role.'),
}
const link = { link_id: text('The enrollment link.') }
const group = {
  group_id: text('The group.'),
  name: text('Its name.'),
  policy_id: Type.Optional(textOrNull('The enrollment policy whose devices are its members.')),
}
const policy = { policy_id: text('The enrollment policy.'), name: text('Its name.') }
const topic = { topic: text('The topic of the push certificate.') }
const source = {
  source_id: text('The sign-in source.'),
  kind: text('What it is.'),
  name: text('Its name.'),
}
const webhook = { webhook_id: text('The webhook.'), name: text('Its name.') }
const user = { user_id: text('The user.') }

/** What administrators do, and what they look after. */
export const ADMINISTRATION = {
  'api_token.created': info('An API token was made', apiToken),
  'api_token.deleted': info('An API token was deleted', apiToken),
  'audit.anchored': info('The number and hash of the last audit entry, to be kept elsewhere', {
    number: number('Its number.'),
    hash: text('Its hash.'),
  }),
  'enrollment_link.created': info('An enrollment link was made', {
    ...link,
    uses: Type.Union([number('How many devices it lets in.'), Type.Null()], {
      description: 'How many devices it lets in; null = any number.',
    }),
    expires_at: time('When it ends.'),
  }),
  'enrollment_link.revoked': info('An enrollment link was revoked', {
    ...link,
    used: number('How many devices it has let in.'),
  }),
  'group.created': info('A group was made', group),
  'group.deleted': info('A group was deleted', group),
  'group.updated': info('A group was changed', {
    ...group,
    changed: Type.Optional(changed),
    added: Type.Optional(number('Devices that became members.')),
    removed: Type.Optional(number('Devices that are members no more.')),
  }),
  'group.members_changed': info('The members of a group have changed', {
    group_id: group.group_id,
    name: group.name,
    because: Type.Enum(['members', 'enrollment', 'facts', 'rule', 'time', 'unenrolled', 'deleted'], {
      description:
        'Why: members were named by hand; a device enrolled into it; what is known of devices changed; its rule was set; time has passed; an enrollment ended; the group was deleted.',
    }),
    added: texts('Devices that became members.'),
    removed: texts('Devices that are members no more.'),
    unknown: texts('Devices of which it is not known any more; members among them stay members until it is.'),
    known: texts('Devices of which it is known again, and is as it was.'),
  }),
  'policy.created': info('An enrollment policy was made', policy),
  'policy.deleted': info('An enrollment policy was deleted', policy),
  'policy.updated': info('An enrollment policy was changed', { ...policy, changed }),
  'push_certificate.expiring': warn('A push certificate expires soon, or has expired', {
    ...topic,
    not_after: time('When it expires.'),
    days: number('Days until then at which this is told; 0: it has expired.'),
  }),
  'push_certificate.rejected': warn('Apple does not take a push certificate', topic),
  'push_certificate.requested': info('A push certificate was asked for', {
    push_certificate_request_id: text('The request.'),
    signed: flag('Whether it is signed by a vendor, and so can be given to Apple.'),
  }),
  'push_certificate.stored': info('A push certificate was stored', {
    ...topic,
    not_after: time('When it expires.'),
    renewal: flag('Whether there was one of this topic before.'),
    warnings: texts('What may be wrong with it, in sentences.'),
    pushes_released: number('Pushes that waited for it and go out now.'),
  }),
  'settings.changed': info('Settings were changed', {
    changed: changes('What was changed, by the name of the setting.'),
  }),
  'signin_source.created': info('A sign-in source was made', source),
  'signin_source.deleted': info('A sign-in source was deleted', source),
  'signin_source.updated': info('A sign-in source was changed', { ...source, changed }),
  'subscription.stuck': warn('What should follow from an event could not be done; it was set aside', {
    subscription: text('What should have followed it.'),
    event_id: text('The event.'),
    event_type: text('Its type.'),
    error: text('Why not.'),
  }),
  'user.created': info('A user was made', user),
  'user.deleted': info('A user was deleted', user),
  'user.updated': info('A user was changed', { ...user, changed }),
  'webhook.created': info('A webhook was made', webhook),
  'webhook.deleted': info('A webhook was deleted', webhook),
  'webhook.delivery_dead': warn('Events could not be delivered to a webhook and were given up', {
    ...webhook,
    event_id: text('The first of them.'),
    count: number('How many they are.'),
    error: text('Why the first of them failed.'),
  }),
  'webhook.disabled': warn('A receiver said that it is gone (410), and its webhook was disabled', webhook),
  'webhook.replayed': info('Events are sent to a webhook again', {
    ...webhook,
    after: text('The event after which they come.'),
    count: number('How many they are.'),
  }),
  'webhook.test': info('A webhook was tried', { webhook_id: webhook.webhook_id }),
  'webhook.updated': info('A webhook was changed', { ...webhook, changed }),
} as const satisfies Kinds
