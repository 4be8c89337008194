import type { RolloutPlayed } from '../world/rollout.ts'
import { DEMO_REASONS } from '../world/reasons.ts'
import type { Played } from './director.ts'
import type { Style } from './style.ts'

/** A row of the table. */
interface Row {
  outcome: string
  phones: readonly number[]
  text: string
}

/** The table of all outcomes, and whether each of them happened. */
export function summarize(
  played: readonly Played[],
  rollout: RolloutPlayed | undefined,
  style: Style,
): { text: string; isComplete: boolean } {
  const rows = [
    ...enrolledRows(played),
    deliveredRow(played),
    ...rolloutRows(rollout),
    ...DEMO_REASONS.map((reason) => reasonRow(played, reason)),
  ]
  const width = Math.max(...rows.map(({ outcome }) => outcome.length))
  const lines = rows.map(({ outcome, phones, text }) => {
    const mark = phones.length > 0 ? style.good('✓') : style.bad('✗')
    const numbers = shorten(phones)
    return `${mark} ${outcome.padEnd(width)}  ${numbers.padEnd(PHONES_WIDTH)}  ${text}`
  })
  const heading = style.strong(`  ${'Outcome'.padEnd(width)}  ${'Phones'.padEnd(PHONES_WIDTH)}  What it says`)
  return {
    text: `${[heading, ...lines].join('\n')}\n`,
    isComplete: rows.every(({ phones }) => phones.length > 0),
  }
}

const PHONES_WIDTH = 14

/** One row for each way in. */
function enrolledRows(played: readonly Played[]): Row[] {
  const ways = [...new Set(played.flatMap(({ act }) => act.way ?? []))]
  return ways.map((way) => ({
    outcome: 'enrolled',
    phones: phonesOf(played.filter(({ act, outcomes }) => act.way === way && outcomes.includes('enrolled'))),
    text: way,
  }))
}

/** What groups brought while a phone was held in Setup Assistant. */
function deliveredRow(played: readonly Played[]): Row {
  const having = played.filter(({ delivered }) => delivered.length > 1)
  const things = having.flatMap(({ delivered }) => delivered).join(' and ')
  const text = having.length === 0 ? 'did not happen' : `${things}, before Setup Assistant ended`
  return { outcome: 'delivered', phones: phonesOf(having), text }
}

function rolloutRows(rollout: RolloutPlayed | undefined): Row[] {
  const { failed = [], halted, isRolledBack = false } = rollout ?? {}
  return [
    {
      outcome: 'rollout_halted',
      phones: halted === undefined ? [] : failed,
      text: halted ?? 'did not happen',
    },
    {
      outcome: 'rolled_back',
      phones: isRolledBack ? failed : [],
      text: isRolledBack ? 'every phone has the former revision' : 'did not happen',
    },
  ]
}

function reasonRow(played: readonly Played[], reason: (typeof DEMO_REASONS)[number]): Row {
  const having = played.filter(({ outcomes }) => outcomes.includes(reason))
  const findings = having.flatMap(({ tries }) => tries.flatMap((each) => each.findings))
  const text = findings.find((finding) => finding.reason === reason)?.text ?? 'did not happen'
  return { outcome: reason, phones: phonesOf(having), text }
}

function phonesOf(played: readonly Played[]): number[] {
  return [...new Set(played.map(({ act }) => act.phone))]
}

function shorten(phones: readonly number[]): string {
  const [few, more] = [phones.slice(0, MAX_PHONES), phones.length - MAX_PHONES]
  return more > 0 ? `${few.join(' ')} +${more}` : few.join(' ')
}

const MAX_PHONES = 4
