import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { parseArgs } from 'node:util'
import { benchAttacks } from './attack/index.ts'
import { benchDelivery } from './delivery.ts'
import { benchPaired } from './paired.ts'
import { benchRatios } from './ratios.ts'

const USAGE = `npm run bench [-- postgres|embedded [scenario]]
  Firstboot against a plain server and a handler that does nothing; some 12 minutes in all.

npm run bench -- paired <folder of another checkout> [--database embedded] [--rounds 5] [--only "Idle poll"]
  Firstboot of this checkout against that of another one (npm ci has run there), by turns; 10 minutes at most.

npm run bench -- attack [--database embedded] [--seconds 20] [--only name]
  An honest device while strangers do their worst, one kind at a time; 10 minutes at most.

npm run bench -- delivery
  What groups deliver, on PostgreSQL: a change for 100,000 devices, regrouping, phones that get things; 10 minutes at most.
`

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    database: { type: 'string', default: 'postgres' },
    rounds: { type: 'string', default: '5' },
    seconds: { type: 'string', default: '20' },
    only: { type: 'string' },
    help: { type: 'boolean', short: 'h', default: false },
  },
})
const { only } = values
const engine = values.database === 'embedded' ? 'embedded' : 'postgres'
const [what, argument] = positionals
const folder = mkdtempSync(path.join(tmpdir(), 'firstboot-bench-'))
try {
  if (values.help) console.log(USAGE)
  else if (what === 'paired' && argument !== undefined)
    await benchPaired({ other: path.resolve(argument), engine, rounds: Number(values.rounds), only, folder })
  else if (what === 'attack') await benchAttacks({ engine, seconds: Number(values.seconds), only, folder })
  else if (what === 'delivery') await benchDelivery(folder)
  else if (what === undefined || what === 'postgres' || what === 'embedded')
    await benchRatios(folder, what, argument)
  else {
    console.error(USAGE)
    process.exitCode = 2
  }
} finally {
  rmSync(folder, { recursive: true, force: true })
}
