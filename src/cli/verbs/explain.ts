import { visible } from '../terminal.ts'
import type { Verb } from '../verb.ts'

interface Match {
  kind: string
  id: string
  title: string
  sentence: string
  reason: string
  next_step: string
  since: string | null
}

/** Says why something is as it is. */
export const explain: Verb = {
  words: ['explain'],
  summary: 'Say why a device, person, attempt or command is as it is, and what to do',
  arguments: [
    {
      name: 'anything',
      summary: 'serial number, UDID, name of a device or user, id of an attempt or command',
      to: 'verb',
      multiple: true,
    },
  ],
  call: { method: 'GET', path: '/explain' },
  prepare: async (call, { verb }) => ({ ...call, query: { q: (verb['anything'] as string[]).join(' ') } }),
  isPartial: (answer) => matchesOf(answer).length === 0,
  show(answer) {
    const text = matchesOf(answer).map(inWords).join('\n')
    return text === '' ? { text, note: 'Nothing is known by that.\n' } : { text }
  },
}

const matchesOf = (answer: unknown) => (answer as { matches: Match[] }).matches

function inWords({ kind, id, title, sentence, reason, next_step, since }: Match): string {
  const lines = [
    `${title} (${kind.replace('_', ' ')} ${id})`,
    `  why   ${sentence}`,
    `  next  ${next_step}`,
    `  code  ${reason}${since === null ? '' : `, since ${since}`}`,
  ]
  return lines.map((line) => `${visible(line)}\n`).join('')
}
