import { expect, test } from 'vitest'
import { createLog } from '../../src/kernel/log.ts'

function lines(): { log: ReturnType<typeof createLog>; read: () => Record<string, unknown>[] } {
  const written: string[] = []
  const log = createLog({ level: 'info', destination: { write: (line) => void written.push(line) } })
  return { log, read: () => written.map((line) => JSON.parse(line) as Record<string, unknown>) }
}

test('what bears the name of a secret is censored, at the top and one level down', () => {
  const { log, read } = lines()
  const given = {
    token: 't-1',
    reason: 'x',
    detail: { PushMagic: 'm-1', kept: 1 },
    list: [{ token: 'in a list' }],
  }
  log.info(given, 'told')
  const failure = () => Object.assign(new Error('no'), { secret: 's-1', kept: 1 })
  log.info({ err: failure() })
  log.info({ problem: failure() })
  const [first, second, third] = read()
  expect(first).toMatchObject({
    ...{ level: 'info', msg: 'told', token: '[secret]', reason: 'x' },
    detail: { PushMagic: '[secret]', kept: 1 },
  })
  expect(second).toMatchObject({ err: { message: 'no', secret: '[secret]' } })
  expect(third).toMatchObject({ problem: { secret: '[secret]', kept: 1 } })
  expect(given).toMatchObject({ token: 't-1', detail: { PushMagic: 'm-1' } })
})

test('an error is told with its type, message, stack and cause', () => {
  const { log, read } = lines()
  log.error({ err: new TypeError('outer', { cause: new Error('inner') }) }, 'failed')
  const [line] = read()
  expect(line?.['err']).toMatchObject({ type: 'TypeError' })
  expect(JSON.stringify(line?.['err'])).toMatch(/outer.*inner/)
  log.error({ err: 'no error at all' }, 'failed')
  expect(read()[1]?.['err']).toBe('no error at all')
})
