import { expect, test } from 'vitest'
import { createBodyOpener, sealBody } from '../../../src/features/commands/bodies.ts'
import { createSecretBox } from '../../../src/kernel/secret-box.ts'

const box = createSecretBox({ key: Buffer.alloc(32, 1) })
const counted = () => {
  const opened: string[] = []
  return {
    opened,
    open: createBodyOpener({
      ...box,
      open: (sealed, context) => {
        opened.push(context)
        return box.open(sealed, context)
      },
    }),
  }
}

test('the body of a command that goes to many devices is opened once', () => {
  const { opened, open } = counted()
  const kept = sealBody(box, 'A', Buffer.from('a body'))
  for (let device = 0; device < 3; device++)
    expect(open('A', Buffer.from(kept)).toString('utf8')).toBe('a body')
  expect(opened).toHaveLength(1)
})

test('what is kept under the same name, and is another record, is opened by itself, and must be of that name', () => {
  const { open } = counted()
  open('A', sealBody(box, 'A', Buffer.from('one')))
  expect(open('A', sealBody(box, 'A', Buffer.from('other'))).toString('utf8')).toBe('other')
  expect(() => open('A', sealBody(box, 'B', Buffer.from('of another')))).toThrow('sealed secret')
})

test('only so many are remembered, and no large ones', () => {
  const { opened, open } = counted()
  const [small, large] = [
    sealBody(box, 'small', Buffer.alloc(10)),
    sealBody(box, 'large', Buffer.alloc(10_000)),
  ]
  for (let time = 0; time < 2; time++) open('large', large)
  open('small', small)
  for (let n = 0; n < 300; n++) open(`${n}`, sealBody(box, `${n}`, Buffer.alloc(10)))
  opened.length = 0
  open('small', small)
  open('299', sealBody(box, '299', Buffer.alloc(10)))
  expect(opened).toHaveLength(2)
})

test('what is not sealed is given as it is', () => {
  const plain = Buffer.from('<?xml version="1.0"?>')
  expect(counted().open('A', plain)).toBe(plain)
})
