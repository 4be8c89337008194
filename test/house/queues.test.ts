import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'

const SOURCE = join(import.meta.dirname, '../../src')
/** From the sub-select that finds the rows of a statement to its lock. */
const TAKEN = /\b(in|from) \(\s*select [^`]*?for update(?: of \w+)? skip locked/g

function takenBadly(text: string): string[] {
  return [...text.matchAll(TAKEN)].map(([found]) => found).filter((found) => !found.includes('`'))
}

// A planner that thinks that a queue is empty may run such a sub-select anew for each row: a queue of 100,000 never ends.
test('what is taken from a queue is found once, whatever the planner thinks of its length', () => {
  const files = readdirSync(SOURCE, { recursive: true, encoding: 'utf8' }).filter((name) =>
    name.endsWith('.ts'),
  )
  const bad = files.flatMap((name) => takenBadly(readFileSync(join(SOURCE, name), 'utf8')).map(() => name))
  expect(bad).toEqual([])
})

test('one that is not is found out', () => {
  const statement = (how: string) => `delete from q where ${how} returning id`
  expect(takenBadly(statement('id in (select id from q limit 5 for update skip locked)'))).toHaveLength(1)
  expect(
    takenBadly(statement('ctid = any(array(select ctid from q limit 5 for update skip locked))')),
  ).toEqual([])
})
