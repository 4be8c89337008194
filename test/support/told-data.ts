import { Value } from 'typebox/value'
import { expect } from 'vitest'
import type { Db } from '../../src/db/index.ts'
import { CATALOGUE, EVENT_TYPES } from '../../src/features/events/catalogue.ts'

/** Expects of every event in the database that its `data` is what the catalogue says of its type. */
export async function expectKnownData({ kysely }: Pick<Db, 'kysely'>): Promise<void> {
  const columns = ['type', 'data'] as const
  const told = await kysely
    .selectFrom('event_outbox')
    .select(columns)
    .unionAll(kysely.selectFrom('events').select(columns))
    .execute()
  expect(told.flatMap(problemsOf)).toEqual([])
}

function problemsOf({ type, data }: { type: string; data: unknown }): unknown[] {
  const known = EVENT_TYPES.find((name) => name === type)
  if (known === undefined) return [{ type }]
  const schema = CATALOGUE[known].data
  return Value.Check(schema, data) ? [] : [{ type, data, problems: Value.Errors(schema, data) }]
}
