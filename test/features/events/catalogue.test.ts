import { type TSchema, Type } from 'typebox'
import { describe, expect, test } from 'vitest'
import { CATALOGUE, EVENT_TYPES } from '../../../src/features/events/catalogue.ts'
import type { Events } from '../../../src/features/events/index.ts'

/** The members of an object, and of what it holds, with their addresses. */
function membersOf(schema: TSchema, path: string): [string, TSchema][] {
  if (Type.IsUnion(schema)) return schema.anyOf.flatMap((each, n) => membersOf(each, `${path}[${n}]`))
  if (Type.IsArray(schema)) return membersOf(schema.items, `${path}[]`)
  if (!Type.IsObject(schema)) return []
  return Object.entries(schema.properties).flatMap(([name, member]): [string, TSchema][] => [
    [`${path}.${name}`, member],
    ...membersOf(member, `${path}.${name}`),
  ])
}

describe('the catalogue of events', () => {
  test('says what each member of the data means', () => {
    const members = EVENT_TYPES.flatMap((type) => membersOf(CATALOGUE[type].data, type))
    expect(members.length).toBeGreaterThan(150)
    const undescribed = members.filter(
      ([, schema]) => !('description' in schema) || String(schema.description).length < 5,
    )
    expect(undescribed.map(([path]) => path)).toEqual([])
  })

  test('lets nobody tell what it does not say', () => {
    const announce: Events['announce'] = () => undefined
    announce({ type: 'device.enrolled', data: { tally: 1, type: 'device', awaiting_configuration: true } })
    announce({ type: 'device.deleted', enrollment_id: 'A' })
    // @ts-expect-error -- a number as text
    announce({ type: 'device.token_updated', data: { tally: '1' } })
    // @ts-expect-error -- a member of another type of event
    announce({ type: 'device.token_updated', data: { tally: 1, released_by: 'deadline' } })
    // @ts-expect-error -- a member that is missing
    announce({ type: 'device.enrolled', data: { tally: 1, type: 'device' } })
    // @ts-expect-error -- no data
    announce({ type: 'device.enrolled' })
    // @ts-expect-error -- data where there is none
    announce({ type: 'device.deleted', data: { tally: 1 } })
    // @ts-expect-error -- no type of event
    announce({ type: 'device.lost' })
  })
})
