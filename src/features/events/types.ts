import type { Act, Actor } from '../../kernel/act.ts'
import type { EventData, EventType } from './catalogue.ts'

/** What may be said of any fact; `request_id` and `duration_ms` go to the log only. */
interface Circumstances {
  enrollment_id?: string | null
  serial_number?: string | null
  user_name?: string | null
  reason?: string | null
  attempt_id?: string | null
  act?: Act
  request_id?: string
  duration_ms?: number
}

type NamesIn<D> = D extends unknown ? keyof D : never

/** JSON, as the catalogue says; never a secret. */
type DataOf<T extends EventType> = [NamesIn<EventData<T>>] extends [never]
  ? { data?: Record<string, never> }
  : Partial<EventData<T>> extends EventData<T>
    ? { data?: EventData<T> }
    : { data: EventData<T> }

/**
 * A fact about to be told, of one of these types. What a change tells has its `act`, which says who made it; what has none is told
 * by the device of the request, or by a job.
 */
export type NewEvent<T extends EventType = EventType> = T extends EventType
  ? Circumstances & { type: T } & DataOf<T>
  : never

/** A fact of one of these types, without its circumstances. */
type Told<T extends EventType> = { [K in T]: { type: K; data: EventData<K> } }[T]

/** The fact that a hot statement has written; what it holds is checked against the catalogue by the tests. */
export function toldBy<T extends EventType>(row: { told_type: T; told_data: object }): Told<T> {
  return { type: row.told_type, data: row.told_data } as Told<T>
}

/** The fact with who made it, and through what: the act of a change; else the device of the request, or a job. */
export function withMaker({ act, ...fact }: NewEvent) {
  const { by = null, via = fact.request_id === undefined ? 'job' : 'device' } = act ?? {}
  return { ...fact, by, via, request_id: act?.request_id ?? fact.request_id }
}

/** A published fact; `id` rises in commit order. */
export interface PublishedEvent {
  id: number
  type: string
  at: Date
  by: Actor | null
  via: string | null
  enrollment_id: string | null
  serial_number: string | null
  user_name: string | null
  reason: string | null
  attempt_id: string | null
  data: Record<string, unknown>
}
