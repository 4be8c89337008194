import type { Static } from 'typebox'
import { ADE } from './catalogue/ade.ts'
import { ADMINISTRATION } from './catalogue/administration.ts'
import { APPS } from './catalogue/apps.ts'
import { DELIVERIES } from './catalogue/deliveries.ts'
import { DEVICES } from './catalogue/devices.ts'
import { ENROLLMENT } from './catalogue/enrollment.ts'
import { GOVERNOR } from './catalogue/governor.ts'
import { INVENTORY } from './catalogue/inventory.ts'
import { ROLLOUT } from './catalogue/rollout.ts'

/**
 * Every type of event: how loud it is told, its sentence, and what its `data` holds. A type is named `<thing>.<what happened
 * to it>`; names never change their meaning. Of these schemas are the types of what is emitted.
 */
export const CATALOGUE = {
  ...ADE,
  ...ADMINISTRATION,
  ...APPS,
  ...DELIVERIES,
  ...DEVICES,
  ...ENROLLMENT,
  ...GOVERNOR,
  ...INVENTORY,
  ...ROLLOUT,
}

/** A type of event. */
export type EventType = keyof typeof CATALOGUE

/** What the `data` of an event of this type holds. */
export type EventData<T extends EventType> = Static<(typeof CATALOGUE)[T]['data']>

/** The types in the order of their names. */
export const EVENT_TYPES: readonly EventType[] = Object.keys(CATALOGUE).filter(isEventType).toSorted()

function isEventType(name: string): name is EventType {
  return Object.hasOwn(CATALOGUE, name)
}
