import { Type } from 'typebox'
import { text } from '../../../kernel/schema.ts'
import { changes, info, number, texts, warn, type Kinds } from './kind.ts'

const act = text('The act: erase, lock, unenroll, ...')
const approval = {
  approval_id: text('The approval (`/approvals/{id}`).'),
  act,
  devices: number('For how many devices.'),
  device_ids: texts('For which, the first 100.'),
  asked_by: Type.Object(
    { kind: text('What they are.'), id: text('Their id.'), name: text('Their name.') },
    { description: 'Who asked for it.' },
  ),
}
const limits = {
  changed: changes('What was changed, by its path.'),
}
const why = { reason: text('Why, as whoever did it says.') }

/** What became of acts that destroy something. */
export const GOVERNOR = {
  'approval.requested': warn('An act waits for a second person', approval),
  'approval.approved': info('A second person has approved an act', approval),
  'approval.rejected': info('A second person has rejected an act', approval),
  'approval.cancelled': info('An act that waited was taken back', approval),
  'approval.expired': info('An act has waited too long for a second person', approval),
  'governor.changed': info('The limits of acts that destroy something were tightened', limits),
  'governor.loosened': warn('The limits of acts that destroy something were loosened', {
    ...limits,
    loosened: texts('What of it lets more happen than before.'),
  }),
  'governor.refused': warn('An act that destroys something was refused', {
    act,
    devices: number('For how many devices.'),
  }),
  'governor.stopped': warn('All that destroys something is stopped', why),
  'governor.resumed': warn('What destroys something may be done again', why),
} as const satisfies Kinds
