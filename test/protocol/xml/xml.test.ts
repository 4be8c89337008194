import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  attributeOf,
  childOf,
  elementsOf,
  escapeXml,
  fitsXml,
  parseXml,
  qualifiedName,
} from '../../../src/protocol/xml/index.ts'
import type { XmlElement } from '../../../src/protocol/xml/index.ts'
import { refusal } from '../../support/refusal.ts'

const read = (text: string) => parseXml(Buffer.from(text))
const reasonOf = (text: string | Buffer) => {
  const error = refusal(() => parseXml(Buffer.from(text)))
  return error && `${error.code}: ${error.message}`
}

/** `{namespace}name[attributes](children)text`, short enough to compare. */
function show(element: XmlElement): string {
  const attributes = element.attributes.map((each) => `{${each.namespace}}${each.name}=${each.value}`)
  return `{${element.namespace}}${element.name}[${attributes.join()}](${element.children.map(show).join()})${element.text}`
}

describe('reading', () => {
  test.each([
    ['<a/>', '{}a[]()'],
    ['\uFEFF<?xml version="1.0" encoding="utf-8"?>\r\n<a></a >\n<!-- end -->', '{}a[]()'],
    ['<a xmlns="urn:1"><b/><c xmlns=""/></a>', '{urn:1}a[]({urn:1}b[](),{}c[]())'],
    ['<p:a xmlns:p="urn:1" p:x="1" x="2"/>', '{urn:1}a[{urn:1}x=1,{}x=2]()'],
    ['<p:a xmlns:p="urn:1"><p:b xmlns:p="urn:2"/><p:c/></p:a>', '{urn:1}a[]({urn:2}b[](),{urn:1}c[]())'],
    ['<a xml:lang="en"/>', '{}a[{http://www.w3.org/XML/1998/namespace}lang=en]()'],
    ['<a>x&amp;&lt;&#65;&#x42;<!-- no -->y<![CDATA[<&>]]>z</a>', '{}a[]()x&<ABy<&>z'],
    ['<a b=\'"\' c="&quot;\t\'"/>', '{}a[{}b=",{}c=" \']()'],
    ['<a>1\r\n2\r3</a>', '{}a[]()1\n2\n3'],
    ['<ä>ü<?pi x?></ä>', '{}ä[]()ü'],
  ])('%j', (text, expected) => {
    expect(show(read(text))).toBe(expected)
  })

  test('finding things', () => {
    const root = read('<a xmlns:p="urn:1" xmlns="urn:0" k="v"><p:b>p:name</p:b><b>name</b></a>')
    const prefixed = childOf(root, 'urn:1', 'b')!
    const plain = childOf(root, 'urn:0', 'b')!
    expect(attributeOf(root, 'k')).toBe('v')
    expect(attributeOf(root, 'k', 'urn:0')).toBeUndefined()
    expect([...elementsOf(root)].map(({ name }) => name)).toEqual(['a', 'b', 'b'])
    expect(qualifiedName(prefixed, prefixed.text)).toEqual({ namespace: 'urn:1', name: 'name' })
    expect(qualifiedName(plain, plain.text)).toEqual({ namespace: 'urn:0', name: 'name' })
    expect(qualifiedName(plain, ' q:name ')).toEqual({ namespace: undefined, name: 'name' })
    expect(childOf(undefined, '', 'a')).toBeUndefined()
  })
})

describe('refusals', () => {
  test.each([
    ['', 'no element'],
    ['text', 'no element'],
    ['{}', 'no element'],
    ['<!DOCTYPE a><a/>', 'a document type'],
    ['<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]><a>&x;</a>', 'a document type'],
    ['<a>&x;</a>', 'an entity that is not known'],
    ['<a>&#0;</a>', 'an entity that is not known'],
    ['<a>& b</a>', 'an entity that is not known'],
    ['<a b="&x;"/>', 'an entity that is not known'],
    ['<a', 'a tag that is not well-formed'],
    ['<a>', 'ends too early'],
    ['<a></b>', 'an end tag that does not fit'],
    ['<a></a', 'not closed'],
    ['<p:a xmlns:p="1"></a>', 'an end tag that does not fit'],
    ['<a/><b/>', 'something follows'],
    ['<a b=1/>', 'without quotes'],
    ['<a b/>', 'without value'],
    ['<a b="1"c="2"/>', 'a tag that is not well-formed'],
    ['<a b="1" b="2"/>', 'there twice'],
    ['<a xmlns:p="u" xmlns:q="u" p:b="1" q:b="2"/>', 'there twice'],
    ['<a b="<"/>', '< in an attribute'],
    ['<p:a/>', 'a prefix that is not declared'],
    ['<a p:b="1"/>', 'a prefix that is not declared'],
    ['<a xmlns:p=""/>', 'cannot be declared'],
    ['<a xmlns:xml="urn:1"/>', 'cannot be declared'],
    ['<a>]]></a>', ']]> in text'],
    ['<a><![CDATA[</a>', 'CDATA is not closed'],
    ['<a><!-- -- --></a>', 'a comment is not well-formed'],
    ['<?xml version="1.0" encoding="utf-16"?><a/>', 'no UTF-8'],
    ['<a>\u0001</a>', 'does not allow'],
    [`${'<a>'.repeat(65)}${'</a>'.repeat(65)}`, 'nested more than 64 deep'],
    [`<a>${'<b/>'.repeat(20_000)}</a>`, 'more than 20000 elements'],
    [`<a ${Array.from({ length: 65 }, (_, at) => `a${at}=""`).join(' ')}/>`, 'more than 64 attributes'],
    [`<a>${' '.repeat(1024 * 1024)}</a>`, 'more than 1048576 bytes'],
  ])('%.60j', (text, reason) => {
    expect(reasonOf(text)).toMatch(/^xml_invalid: /)
    expect(reasonOf(text)).toContain(reason)
  })

  test('bytes that are no UTF-8', () => {
    expect(reasonOf(Buffer.from([0x3c, 0x61, 0xff, 0x2f, 0x3e]))).toBe('xml_invalid: no valid UTF-8')
  })

  // What took the square of their length would not end before the test does.
  test('hostile ones of a megabyte are refused', () => {
    const megabyte = 1_000_000
    for (const text of [
      '<'.repeat(megabyte),
      `<a>${'&'.repeat(megabyte)}`,
      `<a ${'x'.repeat(megabyte)}`,
      `<a>${'<!-- - '.repeat(megabyte / 7)}`,
      `<a>${'<![CDATA['.repeat(megabyte / 9)}`,
      `<?xml ${' '.repeat(megabyte)}`,
    ]) {
      expect(reasonOf(text)).toMatch(/^xml_invalid/)
    }
  })
})

test('what is escaped is read back', () => {
  const text = fc
    .string({ unit: fc.oneof(fc.constantFrom('&', '<', '>', '"', "'", '\r', '\n', ']]>'), fc.string()) })
    .filter(fitsXml)
  fc.assert(
    fc.property(text, (value) => {
      expect(read(`<a>${escapeXml(value)}</a>`).text).toBe(value)
    }),
    { numRuns: 300 },
  )
})

test('whatever the text, an element or a refusal', () => {
  const piece = fc.constantFrom(
    '<a>',
    '</a>',
    '<b c="',
    '"/>',
    '<!--',
    '-->',
    '<![CDATA[',
    ']]>',
    '&lt;',
    '&',
    ' x',
    '<?',
  )
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 12 }), (pieces) => {
      const reason = reasonOf(pieces.join(''))
      if (reason !== undefined) expect(reason).toMatch(/^xml_invalid: /)
    }),
    { numRuns: 500 },
  )
})
