/** The namespaces in scope, innermost first. */
export interface Scope {
  readonly prefixes: ReadonlyMap<string, string>
  readonly outer: Scope | undefined
}

/** An attribute; `namespace` is empty for one without prefix. */
export interface XmlAttribute {
  readonly namespace: string
  readonly name: string
  readonly value: string
}

/** An element of a document; `namespace` is empty for none. */
export interface XmlElement {
  readonly namespace: string
  /** Without prefix. */
  readonly name: string
  readonly attributes: readonly XmlAttribute[]
  readonly children: readonly XmlElement[]
  /** All text directly within, in one piece. */
  readonly text: string
  readonly scope: Scope
}

/** The namespace of a prefix, that of unprefixed elements for `''`; undefined for an undeclared prefix. */
export function resolvePrefix(scope: Scope | undefined, prefix: string): string | undefined {
  for (let at = scope; at !== undefined; at = at.outer) {
    const found = at.prefixes.get(prefix)
    if (found !== undefined) return found
  }
  if (prefix === 'xml') return 'http://www.w3.org/XML/1998/namespace'
  return prefix === '' ? '' : undefined
}

/** The first child of that name. */
export function childOf(element: XmlElement | undefined, namespace: string, name: string) {
  return element?.children.find((child) => child.name === name && child.namespace === namespace)
}

/** The value of an attribute, by default one without namespace. */
export function attributeOf(element: XmlElement, name: string, namespace = ''): string | undefined {
  return element.attributes.find((each) => each.name === name && each.namespace === namespace)?.value
}

/** The element and all below it, in the order of the document. */
export function* elementsOf(element: XmlElement): Generator<XmlElement, void> {
  yield element
  for (const child of element.children) yield* elementsOf(child)
}

/** A qualified name written as text within an element; the namespace is undefined when its prefix is not declared. */
export function qualifiedName(
  element: XmlElement,
  text: string,
): { namespace: string | undefined; name: string } {
  const [first = '', second] = text.trim().split(':', 2)
  const prefix = second === undefined ? '' : first
  return { namespace: resolvePrefix(element.scope, prefix), name: second ?? first }
}
