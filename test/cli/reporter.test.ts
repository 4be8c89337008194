import { expect, test } from 'vitest'
import { createReporter } from '../../src/cli/reporter.ts'

/** What is written while something takes its time, told of every second. */
function written(columns: number | undefined, seconds: number): string[] {
  const lines: string[] = []
  let now = 0
  const reporter = createReporter({ columns, write: (text) => lines.push(text) }, () => now)
  for (; now < seconds * 1_000; now += 1_000) reporter.tell(`${now / 1_000} of many`)
  reporter.end()
  return lines
}

test('what takes no longer than two seconds says nothing', () => {
  expect(written(80, 2)).toEqual([])
  expect(written(undefined, 2)).toEqual([])
})

test('on a terminal it is one line that changes and goes, and is never wider', () => {
  expect(written(8, 4)).toEqual(['\r\u001b[K2 of ma', '\r\u001b[K3 of ma', '\r\u001b[K'])
})

test('elsewhere it is a plain line now and then', () => {
  expect(written(undefined, 23)).toEqual(['2 of many\n', '12 of many\n', '22 of many\n'])
})
