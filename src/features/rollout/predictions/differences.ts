import { keyOf, type Wanted } from '../deliveries/desire.ts'

/** What a change of contents would do with a thing on a device. */
export type Change = 'install' | 'remove' | 'replace'

/** Where each kind of change is counted. */
export const COUNTED = { install: 'installs', remove: 'removals', replace: 'replacements' } as const

/** What becomes of a device when it is to have other things. */
export function differences(now: readonly Wanted[], then: readonly Wanted[]) {
  const keys = (wanted: readonly Wanted[]) => new Set(wanted.map(({ kind, id }) => keyOf(kind, id)))
  const [before, after] = [keys(now), keys(then)]
  const places = (wanted: readonly Wanted[], others: ReadonlySet<string>) =>
    new Set(
      wanted.flatMap(({ kind, id, identifier }) =>
        identifier === null || others.has(keyOf(kind, id)) ? [] : [keyOf(kind, identifier)],
      ),
    )
  const [left, entered] = [places(now, after), places(then, before)]
  const isIn = (set: ReadonlySet<string>, { kind, identifier }: Wanted) =>
    identifier !== null && set.has(keyOf(kind, identifier))
  const toChange = ({ kind, id, groupIds }: Wanted, change: Change) => ({
    kind,
    id,
    groupIds,
    change,
  })
  return [
    ...then
      .filter(({ kind, id }) => !before.has(keyOf(kind, id)))
      .map((one) => toChange(one, isIn(left, one) ? 'replace' : 'install')),
    ...now
      .filter((one) => !after.has(keyOf(one.kind, one.id)) && !isIn(entered, one))
      .map((one) => toChange(one, 'remove')),
  ]
}
