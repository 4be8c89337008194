import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { fillTemplate, parseTemplate, secretOf } from '../../src/kernel/template.ts'

const values = new Map<string, string | null>([
  ['device.serial_number', 'F2LX1'],
  ['user.email', 'ada@example.org'],
  ['user.display_name', null],
  ['policy.name', ''],
  ['secret.wifi.PSK-1', 'pa{{device.udid}}ss'],
])

describe('the variables of a text', () => {
  test('are told in their order, with their fallbacks', () => {
    expect(
      parseTemplate('{{device.name}}: {{user.email|none@example.org}}{{secret.A_b.c-1}}{{user.email|}}'),
    ).toEqual({
      ok: true,
      variables: [
        { name: 'device.name' },
        { name: 'user.email', fallback: 'none@example.org' },
        { name: 'secret.A_b.c-1' },
        { name: 'user.email', fallback: '' },
      ],
    })
  })

  test.each(['', 'plain', '{', '{"a": {"b": {}}}', '}}', '{ {device.name} }', '$SERIAL', '%(x)s'])(
    'are none in %j',
    (text) => {
      expect(parseTemplate(text)).toEqual({ ok: true, variables: [] })
      expect(fillTemplate(text, values)).toEqual({ ok: true, text })
    },
  )

  test.each([
    ['{{device.nam}}', 'There is no variable "{{device.nam}}". Is {{device.name}} meant?'],
    ['{{ device.name }}', 'There is no variable "{{ device.name }}". Is {{device.name}} meant?'],
    ['{{Device.Name}}', 'There is no variable "{{Device.Name}}". Is {{device.name}} meant?'],
    ['{{mail}}', 'There is no variable "{{mail}}".'],
    ['{{}}', 'There is no variable "{{}}".'],
    ['{{|x}}', 'There is no variable "{{}}".'],
    ['{{secret.}}', 'There is no variable "{{secret.}}".'],
    ['{{secret.a b}}', 'There is no variable "{{secret.a b}}".'],
    [`{{secret.${'a'.repeat(65)}}}`, 'There is no variable'],
    ['{{__proto__}}', 'There is no variable "{{__proto__}}".'],
    ['a {{device.name', 'The variable "{{device.name" is not closed by "}}".'],
    ['{{device.{{user.email}}}}', 'Within the variable "{{device.{{user.email" another one begins.'],
    ['{{user.email|{{device.name}}}}', 'Within the variable'],
    ['{{{device.name}}}', 'There is no variable "{{{device.name}}".'],
  ])('are wrong in %j', (text, problem) => {
    const parsed = parseTemplate(text)
    expect(parsed.ok ? '' : parsed.problem).toContain(problem)
    expect(() => fillTemplate(text, values)).toThrow(RangeError)
  })

  test('a problem shows only the begin of a long text', () => {
    const parsed = parseTemplate(`{{${'a'.repeat(1_000_000)}`)
    expect(parsed.ok ? '' : parsed.problem.length).toBeLessThan(200)
  })

  test('a million of them are read in a moment', () => {
    const parsed = parseTemplate('{{device.name}}'.repeat(1_000_000))
    expect(parsed.ok && parsed.variables.length).toBe(1_000_000)
  })
})

describe('a filled text', () => {
  test('has the values in their places, and never expands them again', () => {
    expect(fillTemplate('<{{device.serial_number}}|{{secret.wifi.PSK-1}}>', values)).toEqual({
      ok: true,
      text: '<F2LX1|pa{{device.udid}}ss>',
    })
  })

  test('takes the fallback for a missing value alone', () => {
    expect(fillTemplate('{{user.email|x}} {{user.display_name|}}{{policy.name|none}}', values)).toEqual({
      ok: true,
      text: 'ada@example.org none',
    })
  })

  test('names each missing value once', () => {
    expect(
      fillTemplate('{{user.display_name}}{{device.udid}}{{policy.name}}{{device.udid}}', values),
    ).toEqual({
      ok: false,
      missing: ['user.display_name', 'device.udid', 'policy.name'],
    })
  })

  test('holds whatever values there are, as they are', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', minLength: 1 }), fc.string(), (value, around) => {
        const plain = around.replaceAll('{', '(')
        const filled = fillTemplate(`${plain}{{user.email}}${plain}`, new Map([['user.email', value]]))
        expect(filled).toEqual({ ok: true, text: `${plain}${value}${plain}` })
      }),
    )
  })
})

test('the secret of a variable', () => {
  expect(secretOf('secret.wifi')).toBe('wifi')
  expect(secretOf('secret.')).toBe('')
  expect(secretOf('device.name')).toBeUndefined()
})
