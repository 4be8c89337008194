import type { Db } from '../database.ts'

type SqlType = 'integer' | 'text' | 'bytea' | 'boolean' | 'timestamptz'

/** The members of a row of the batch as columns of `input`, each with its type, in the order of their parameters. */
type Columns<Row> = Readonly<Record<string, readonly [type: SqlType, of: (row: Row) => unknown]>>

/** A statement that does for many what it does for one, described once; `name` is that of the prepared statement. */
interface Description<Row, Given extends string> {
  name: string
  columns: Columns<Row>
  /** What all rows share. */
  given: Readonly<Record<Given, SqlType>>
  /** `input` is a query for the rows, with their places in the batch as `n`; `given` how the text speaks of what they share. */
  text: (input: string, given: Readonly<Record<Given, string>>) => string
}

/**
 * Prepares a statement for a batch. `alone` runs it for one row, whose values travel as they are: as members of arrays, bytes
 * would be spelled in hexadecimal.
 */
export function batchStatement<Row, Result extends object, Given extends string>(
  description: Description<Row, Given>,
) {
  const { name, columns, given, text } = description
  const types = [['integer', () => 0] as const, ...Object.values(columns)]
  const names = ['n', ...Object.keys(columns)].join(', ')
  const marks = types.map(([type], at) => ({ type, mark: `$${at + 1}` }))
  const shared = Object.entries(given as Readonly<Record<string, SqlType>>)
  const spoken = Object.fromEntries(
    shared.map(([key, type], at) => [key, `$${types.length + at + 1}::${type}`]),
  ) as Record<Given, string>
  const arrays = marks.map(({ mark, type }) => `${mark}::${type}[]`).join(', ')
  const scalars = marks.map(({ mark, type }) => `${mark}::${type}`).join(', ')
  const forMany = text(`select * from unnest(${arrays}) as i (${names})`, spoken)
  const forOne = text(`select * from (values (${scalars})) as i (${names})`, spoken)
  const ofGiven = (values: Readonly<Record<Given, unknown>>) => shared.map(([key]) => values[key as Given])

  return {
    run: (db: Db, rows: readonly Row[], values: Readonly<Record<Given, unknown>>): Promise<Result[]> =>
      db.prepared<Result>(name, forMany, [
        rows.map((_, n) => n),
        ...Object.values(columns).map(([, of]) => rows.map(of)),
        ...ofGiven(values),
      ]),
    alone: (db: Db, row: Row, values: Readonly<Record<Given, unknown>>): Promise<Result[]> =>
      db.prepared<Result>(`${name}_alone`, forOne, [
        0,
        ...Object.values(columns).map(([, of]) => of(row)),
        ...ofGiven(values),
      ]),
  }
}

/** Results by the places of their rows in the batch. */
export function byPlace<Result extends { n: number }>(
  results: readonly Result[],
  length: number,
): (Result | undefined)[] {
  const places = Array.from<Result | undefined>({ length })
  for (const result of results) places[result.n] = result
  return places
}
