import { Type } from 'typebox'

const time = Type.String({ format: 'date-time' })
const text = Type.Union([Type.String(), Type.Null()])

/** A sync as the API tells it. */
export const runSchema = Type.Object({
  id: Type.String(),
  kind: Type.Enum(['full', 'incremental']),
  state: Type.Enum(['running', 'succeeded', 'failed', 'timed_out']),
  trigger: Type.Enum(['operator', 'schedule', 'first_token']),
  started_at: time,
  ends_by: time,
  finished_at: Type.Union([time, Type.Null()]),
  seen: Type.Integer({ description: 'Serial numbers that Apple has told.' }),
  added: Type.Integer({ description: 'Those that are new, or have come back.' }),
  changed: Type.Integer(),
  removed: Type.Integer({ description: 'Those that are no longer assigned to this server.' }),
  error: text,
  error_code: text,
  created_at: time,
  updated_at: time,
})
