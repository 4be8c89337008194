export { attributeOf, childOf, elementsOf, qualifiedName, type XmlElement } from './element.ts'
export { parseXml } from './reader.ts'
export { escapeXml, fitsXml } from './text.ts'
