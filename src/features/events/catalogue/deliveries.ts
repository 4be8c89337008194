import { Type } from 'typebox'
import { orNull, text, textOrNull } from '../../../kernel/schema.ts'
import { info, number, warn, type Kinds } from './kind.ts'

const thing = {
  kind: Type.Enum(['profile', 'app'], { description: 'What it is.' }),
  id: text('The id of the profile or app.'),
  identifier: textOrNull('What tells it from others on the device.'),
  revision: orNull(Type.Integer(), 'The revision.'),
  cause: text('Why: enrolled, members, contents, revision, drifted, retried, and others.'),
  change_id: textOrNull('The change that it is part of.'),
}

const rollout = {
  rollout_id: text('The rollout.'),
  kind: thing.kind,
  id: thing.id,
  revision: number('The revision.'),
  ring: number('The last ring that gets it, from 0.'),
}

/** What groups deliver. */
export const DELIVERIES = {
  'change.stopped': warn('A change was stopped: what of it has not gone out does not', {
    change_id: text('The change.'),
    devices: number('The devices that it concerns.'),
  }),
  'delivery.expired': info('Something that a group delivers went at its own removal date', thing),
  'delivery.failed': warn('Something that a group delivers has not reached a device', thing),
  'delivery.installed': info('Something that a group delivers is on a device', thing),
  'delivery.planned': info('It is known what a device that enrolled is to have of its groups', {
    deliveries: number('How many things.'),
    critical: number('How many of them a phone in Setup Assistant waits for.'),
  }),
  'delivery.removed': info('Something that no group delivers any more was removed from a device', thing),
  'delivery.retried': info('Deliveries are tried again', {
    change_id: text('The change.'),
    devices: number('The devices that it concerns.'),
  }),
  'group.contents_changed': info('What a group delivers was written', {
    group_id: text('The group.'),
    name: text('Its name.'),
    change_id: text('The change, whose progress can be asked.'),
    added: number('Entries that are new.'),
    removed: number('Entries that are there no more.'),
  }),
  'rollout.advanced': info('A rollout goes on to the next ring', rollout),
  'rollout.finished': info('A rollout is finished: everybody gets the revision', rollout),
  'rollout.halted': warn('A rollout was halted: nobody else gets the revision', rollout),
  'rollout.resumed': info('A halted rollout goes on', rollout),
  'rollout.rolled_back': warn('A rollout was rolled back: all devices get the revision of before', rollout),
  'rollout.started': info('A revision is released in rings', rollout),
} as const satisfies Kinds
