import { readFileSync } from 'node:fs'
import { type Expression, type Program, Visitor, parseSync } from 'oxc-parser'
import path from 'node:path'
import { readSources } from './source.ts'

/** A regular expression of the product; `null` for the source of one that is not written down as a constant. */
export interface FoundExpression {
  /** File and line. */
  readonly at: string
  readonly source: string | null
  readonly flags: string
}

const ROOT = path.resolve(import.meta.dirname, '../..')

/** Every regular expression in `src`: literals, what `RegExp(...)` is called with, and `pattern` of schemas. */
export function regularExpressionsInProduct(): FoundExpression[] {
  const files = readSources('src').map(({ file }) => ({
    file,
    text: readFileSync(path.join(ROOT, file), 'utf8'),
  }))
  return regularExpressionsIn(files)
}

/** The same of any modules. */
export function regularExpressionsIn(files: readonly { file: string; text: string }[]): FoundExpression[] {
  const parsed = files.map(({ file, text }) => ({ file, text, program: parse(file, text) }))
  const everywhere = parsed.flatMap(({ program }) => constantsIn(program))
  return parsed.flatMap((module) =>
    expressionsIn(module, new Map([...everywhere, ...constantsIn(module.program)])),
  )
}

function parse(file: string, text: string): Program {
  const { program, errors } = parseSync(file, text)
  if (errors.length > 0) throw new Error(`${file}: ${errors[0]?.message}`)
  return program
}

/** Expressions by the names of the constants that hold them. */
function constantsIn(program: Program): [string, Expression][] {
  const found: [string, Expression][] = []
  new Visitor({
    VariableDeclarator: ({ id, init }) => {
      if (id.type === 'Identifier' && init !== null) found.push([id.name, init])
    },
  }).visit(program)
  return found
}

function expressionsIn(
  { file, text, program }: { file: string; text: string; program: Program },
  constants: ReadonlyMap<string, Expression>,
): FoundExpression[] {
  const found: FoundExpression[] = []
  const add = (start: number, source: string | null, flags = '') =>
    found.push({ at: `${file}:${text.slice(0, start).split('\n').length}`, source, flags })

  function addConstant(node: Expression | undefined, flags: string): void {
    const value = node?.type === 'Identifier' ? constants.get(node.name) : node
    // An expression is found where it stands.
    if (value?.type === 'NewExpression' || (value?.type === 'Literal' && 'regex' in value)) return
    add(node?.start ?? 0, value === undefined ? null : textOf(value, constants), flags)
  }

  function addCall({ callee, arguments: given }: { callee: Expression; arguments: readonly object[] }): void {
    if (callee.type !== 'Identifier' || callee.name !== 'RegExp') return
    const [source, flags] = given as Expression[]
    addConstant(source, flags === undefined ? '' : (textOf(flags, constants) ?? ''))
  }

  new Visitor({
    Literal: (node) => {
      if ('regex' in node) add(node.start, node.regex.pattern, node.regex.flags)
    },
    NewExpression: addCall,
    CallExpression: addCall,
    ObjectExpression: ({ properties }) => {
      for (const property of properties) {
        if (property.type !== 'Property' || property.key.type !== 'Identifier') continue
        if (property.key.name === 'pattern') addConstant(property.value, 'u')
      }
    },
  }).visit(program)
  return found
}

/** The text that a constant expression stands for, made of other constants too; null for any other. */
function textOf(node: Expression, constants: ReadonlyMap<string, Expression>): string | null {
  if (node.type === 'Literal' && typeof node.value === 'string') return node.value
  const isRaw =
    node.type === 'TaggedTemplateExpression' &&
    node.tag.type === 'MemberExpression' &&
    node.tag.object.type === 'Identifier' &&
    node.tag.object.name === 'String' &&
    node.tag.property.type === 'Identifier' &&
    node.tag.property.name === 'raw'
  const template = isRaw ? node.quasi : node.type === 'TemplateLiteral' ? node : undefined
  if (template === undefined) return null
  const parts = template.quasis.flatMap(({ value }, at) => {
    const inside = template.expressions[at]
    const constant = inside?.type === 'Identifier' ? constants.get(inside.name) : undefined
    const known = constant === undefined ? null : textOf(constant, constants)
    return [isRaw ? value.raw : value.cooked, ...(inside === undefined ? [] : [known])]
  })
  return parts.some((part) => part === null) ? null : parts.join('')
}
