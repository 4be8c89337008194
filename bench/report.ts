/** One measurement. Times in milliseconds, memory in megabytes. */
export interface Row {
  engine: 'postgres' | 'embedded' | 'none'
  scenario: string
  server: 'firstboot' | 'plain' | 'empty'
  connections: number
  perSecond: number
  p50: number
  p99: number
  /** CPU time of the server process per request, without the database's. */
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
  ['scenario', 17],
  ['database', 9],
  ['conn', 4],
  ['x plain', 8],
  ['CPU x', 7],
  ['x ceiling', 9],
  ['req/s', 7],
  ['p50 ms', 8],
  ['p99 ms', 8],
  ['CPU ms', 7],
  ['max MB', 6],
] as const

function line(cells: readonly string[]): string {
  return cells
    .map((cell, at) => {
      const width = COLUMNS[at]?.[1] ?? 0
      return at < 2 ? cell.padEnd(width) : cell.padStart(width)
    })
    .join(' ')
}

/**
 * Prints Firstboot's figures with their ratios to the two baselines of the same run: requests a second against the plain
 * server, the plain server's CPU time per request against Firstboot's, requests a second against the handler that does
 * nothing. Then the baselines themselves, and what was measured of Firstboot alone.
 */
export function print(rows: readonly Row[], facts: readonly Fact[]): void {
  console.log(line(COLUMNS.map(([name]) => name)))
  for (const row of rows.filter(({ server }) => server === 'firstboot')) {
    const plain = rows.find((other) => other.server === 'plain' && isSame(row, other))
    const empty = rows.find((other) => other.server === 'empty' && other.connections === row.connections)
    console.log(
      line([
        row.scenario,
        row.engine,
        String(row.connections),
        ratio(row.perSecond, plain?.perSecond),
        ratio(plain?.cpuMs, row.cpuMs),
        ratio(row.perSecond, empty?.perSecond),
        ...figures(row),
      ]),
    )
  }
  console.log('\nBaselines')
  for (const row of rows.filter(({ server }) => server !== 'firstboot')) {
    const failed = row.failures > 0 ? `  ${row.failures} failed` : ''
    const ratios = [row.server, '', '']
    console.log(
      line([row.scenario, row.engine, String(row.connections), ...ratios, ...figures(row)]) + failed,
    )
  }
  console.log('\nFirstboot alone')
  for (const { engine, name, value, unit, note } of facts) {
    const digits = Math.abs(value) >= 100 || Number.isInteger(value) ? 0 : 2
    const shown = `${value.toFixed(digits)} ${unit}`.trim()
    console.log(`${engine.padEnd(9)} ${name.padEnd(72)} ${shown.padStart(10)}  ${note}`)
  }
}

function isSame(row: Row, other: Row): boolean {
  const { engine, scenario, connections } = row
  return other.engine === engine && other.scenario === scenario && other.connections === connections
}

function ratio(value: number | undefined, base: number | undefined): string {
  return value === undefined || base === undefined ? '-' : (value / base).toFixed(2)
}

function figures({ perSecond, p50, p99, cpuMs, maxRss }: Row): string[] {
  return [perSecond.toFixed(0), p50.toFixed(2), p99.toFixed(1), cpuMs.toFixed(3), String(maxRss)]
}
