import type { Act, Actor, Outcome } from '../world/stage.ts'
import type { Style } from './style.ts'
import type { Finding } from './witness.ts'

/** A try of a phone, and what came of it. */
export interface Try {
  doing: string
  screen: string
  isEnrolled: boolean
  findings: readonly Finding[]
}

/** The line that introduces a phone. */
export function introduceAct({ title, who }: Act, { number, model, phone }: Actor, style: Style): string {
  const no = String(number).padStart(2)
  const facts = [phone.facts.serialNumber, model.padEnd(13), (who ?? 'nobody signs in').padEnd(17)]
  return `\n${style.strong(no)}  ${facts.join('  ')}  ${style.strong(title)}\n`
}

/** The lines of a try: what was done, what the phone shows, what the administrator reads. */
export function describeTry({ doing, screen, isEnrolled, findings }: Try, style: Style): string {
  const shown = findings.filter(
    ({ reason }, at) => reason !== 'sign_in_required' || (at === findings.length - 1 && !isEnrolled),
  )
  const lines = [
    `    ${style.soft('tries')}   ${style.soft(doing)}`,
    `    ${style.soft('phone')}   ${screen}`,
    ...shown.flatMap((finding) => describeFinding(finding, style)),
    ...(isEnrolled ? [`    ${style.soft('admin')}   ${style.good('enrolled')}`] : []),
  ]
  return `${lines.join('\n')}\n`
}

function describeFinding({ reason, text, detail }: Finding, style: Style): string[] {
  const first = `    ${style.soft('admin')}   ${style.marked(reason)}  ${text}`
  return detail === '' ? [first] : [first, `            ${style.soft(detail)}`]
}

/** What came of tries, in order; a reason twice in a row counts once within a try. */
export function outcomesOf(tries: readonly Try[]): Outcome[] {
  return tries.flatMap(({ findings, isEnrolled }) => [
    ...findings.map(({ reason }) => reason),
    ...(isEnrolled ? (['enrolled'] as const) : []),
  ])
}

/** Told when something else came than had to. */
export function describeMistake(expected: readonly Outcome[], got: readonly Outcome[], style: Style): string {
  const list = (outcomes: readonly Outcome[]) => (outcomes.length === 0 ? 'nothing' : outcomes.join(', '))
  return style.bad(`    ✗ expected ${list(expected)}\n      but got  ${list(got)}\n`)
}
