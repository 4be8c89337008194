/** One measurement. Times in milliseconds, memory in megabytes. */
export interface Row {
  engine: 'postgres' | 'embedded' | 'none'
  scenario: string
  server: 'firstboot' | 'plain' | 'empty'
  connections: number
  perSecond: number
  p50: number
  p99: number
  /** CPU time of the server process per request. */
  cpuMs: number
  maxRss: number
  /** Of the baseline under a load that is too much for it. */
  failures: number
}

/** A single figure of the run. */
export interface Fact {
  engine: string
  name: string
  value: number
  unit: string
  note: string
}

const COLUMNS = [
  ['scenario', 18],
  ['database', 9],
  ['conn', 5],
  ['req/s', 8],
  ['p50', 8],
  ['p99', 8],
  ['CPU', 7],
  ['RSS', 5],
  ['x plain', 8],
  ['x ceiling', 9],
] as const

/** Prints Firstboot's figures with their ratios to the two baselines of the same run. */
export function print(rows: readonly Row[], facts: readonly Fact[]): void {
  const line = (cells: readonly string[]) =>
    cells
      .map((cell, at) => (at < 2 ? cell.padEnd(COLUMNS[at]?.[1] ?? 0) : cell.padStart(COLUMNS[at]?.[1] ?? 0)))
      .join(' ')
  console.log(line(COLUMNS.map(([name]) => name)))
  for (const row of rows) {
    if (row.server !== 'firstboot') continue
    const plain = rows.find(
      (other) =>
        other.server === 'plain' &&
        other.engine === row.engine &&
        other.scenario === row.scenario &&
        other.connections === row.connections,
    )
    const ceiling = rows.find((other) => other.server === 'empty' && other.connections === row.connections)
    const ratio = (other: Row | undefined) => (other ? (row.perSecond / other.perSecond).toFixed(2) : '-')
    console.log(
      line([
        row.scenario,
        row.engine,
        String(row.connections),
        row.perSecond.toFixed(0),
        `${row.p50.toFixed(2)} ms`,
        `${row.p99.toFixed(1)} ms`,
        row.cpuMs.toFixed(3),
        String(row.maxRss),
        ratio(plain),
        ratio(ceiling),
      ]),
    )
  }
  for (const row of rows.filter(({ server }) => server !== 'firstboot'))
    console.log(
      `  baseline ${row.server} ${row.engine} ${row.scenario} x${row.connections}: ${row.perSecond.toFixed(0)}/s, ` +
        `p50 ${row.p50.toFixed(2)} ms, p99 ${row.p99.toFixed(1)} ms, CPU ${row.cpuMs.toFixed(3)} ms, ${row.maxRss} MB${row.failures > 0 ? `, ${row.failures} failed` : ''}`,
    )
  for (const { engine, name, value, unit, note } of facts)
    console.log(`  ${engine}: ${name}: ${value.toFixed(2)} ${unit} (${note})`)
}
