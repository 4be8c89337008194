import { isUtf8 } from 'node:buffer'
import { writeFile } from 'node:fs/promises'
import { isRecord } from '../kernel/records.ts'
import type { CommonOptions } from './arguments.ts'
import type { ApiCall, ApiClient } from './client.ts'
import { resolveReferences } from './references.ts'
import { formatRecord, formatTable } from './table.ts'
import { visibleLines } from './terminal.ts'
import { waitFor } from './wait.ts'
import { UsageError, type Input, type Verb } from './verb.ts'

interface Page {
  items: unknown[]
  next_cursor: string | null
}

const LARGEST_PAGE = '1000'

/** Makes the call of a verb; gives what is to be printed, and whether all that was asked for is done or on its way, or waits for a second person. */
export async function runApiVerb(
  verb: Verb,
  input: Input,
  common: CommonOptions,
  deps: { api: ApiClient; columns: number | undefined; signal: () => AbortSignal },
): Promise<{ text: string; outcome: 'ok' | 'failed' | 'waits' }> {
  const { api } = deps
  // What is wrong with the command line itself is told before the server is asked for anything.
  await buildCall(verb, input)
  await resolveReferences(verb, input, api)
  const call = await buildCall(verb, input)
  const paged = verb.call?.paged
  const first = common.all && paged !== undefined ? await readAll(call, paged, api) : await api(call)
  const approval = approvalIn(first)
  if (approval !== undefined) return tellApproval(approval, first, common, deps.columns)
  const partial = verb.isPartial?.(first) ?? false
  const { answer, ok } =
    common.waitMs === undefined
      ? { answer: first, ok: true }
      : await waitFor(verb, { input, answer: first }, { api, forMs: common.waitMs, signal: deps.signal() })
  if (Buffer.isBuffer(answer))
    return { text: await keep(answer, common.to, verb), outcome: ok ? 'ok' : 'failed' }
  const shown = await keepFile(verb, answer, common.to)
  return {
    text: render(verb, shown, common, deps.columns),
    outcome: ok && !partial ? 'ok' : 'failed',
  }
}

/** What an act answers that is not done at once: it waits for a second person, or can be taken back until then. */
function approvalIn(answer: unknown): Record<string, unknown> | undefined {
  return isRecord(answer) && isRecord(answer['approval']) ? answer['approval'] : undefined
}

function tellApproval(
  approval: Record<string, unknown>,
  answer: unknown,
  { output }: CommonOptions,
  columns: number | undefined,
): { text: string; outcome: 'ok' | 'waits' } {
  const text =
    output === 'json' ? `${visibleLines(JSON.stringify(answer, null, 2))}\n` : formatRecord(approval, columns)
  return { text, outcome: approval['state'] === 'waiting' ? 'waits' : 'ok' }
}

async function buildCall(verb: Verb, input: Input): Promise<ApiCall> {
  const { call: template } = verb
  if (template === undefined) throw new UsageError(`${verb.words.join(' ')} makes no call`, verb)
  const path = template.path.replaceAll(/\{(\w+)\}/g, (_, name: string) =>
    encodeURIComponent(input.path[name] ?? ''),
  )
  const body = Object.keys(input.body).length > 0 ? input.body : undefined
  if (template.method === 'PATCH' && body === undefined && verb.prepare === undefined) {
    throw new UsageError('nothing to change is given', verb)
  }
  const needsBody =
    template.method === 'POST' && Object.values(verb.options ?? {}).some(({ to }) => to === 'body')
  const call = {
    method: template.method,
    path,
    query: input.query,
    body: body ?? (needsBody ? {} : undefined),
    isFile: verb.isFile ?? false,
  }
  return verb.prepare === undefined ? call : verb.prepare(call, input, verb)
}

/** A file that was answered goes to where it is wanted, or, if it is text, is printed. */
async function keep(bytes: Buffer, to: string | undefined, verb: Verb): Promise<string> {
  if (to === undefined) {
    if (!isUtf8(bytes)) throw new UsageError('what came is no text: say --to FILE', verb)
    return visibleLines(bytes.toString())
  }
  await write(bytes, to, verb)
  return `${bytes.length} bytes are in ${to}.\n`
}

/** Keeps the file that is a member of the answer, where one is wanted; its name stands in its place then. */
async function keepFile(verb: Verb, answer: unknown, to: string | undefined): Promise<unknown> {
  if (to === undefined || !isRecord(answer)) return answer
  const member = verb.fileIn?.find((name) => isString(answer[name]))
  if (member === undefined) return answer
  await write(String(answer[member]), to, verb)
  return { ...answer, [member]: to }
}

async function write(content: Buffer | string, to: string, verb: Verb): Promise<void> {
  try {
    await writeFile(to, content)
  } catch (error) {
    throw new UsageError(`--to: ${error instanceof Error ? error.message : String(error)}`, verb)
  }
}

/** Follows the cursor to the end. A list with `after` gives a cursor at its end too. */
async function readAll(call: ApiCall, parameter: 'cursor' | 'after', api: ApiClient): Promise<unknown> {
  const items: unknown[] = []
  const query: Record<string, string> = { limit: LARGEST_PAGE, ...call.query }
  for (;;) {
    const page = await api({ ...call, query })
    // A status lists devices only when it is asked for those in one state.
    if (!isPage(page)) return page
    // One by one: a spread of some ten thousand would overflow the stack.
    for (const item of page.items) items.push(item)
    if (page.next_cursor === null || page.items.length === 0) return { items, next_cursor: page.next_cursor }
    query[parameter] = page.next_cursor
  }
}

function render(
  verb: Verb,
  answer: unknown,
  { output, all }: CommonOptions,
  columns: number | undefined,
): string {
  if (output === 'json')
    return answer === undefined ? '' : `${visibleLines(JSON.stringify(answer, null, 2))}\n`
  if (answer === undefined || (verb.done !== undefined && !isPage(answer))) return `${verb.done ?? 'Done.'}\n`
  if (typeof answer === 'string') return visibleLines(answer.endsWith('\n') ? answer : `${answer}\n`)
  if (!isPage(answer) || verb.isRecord === true)
    return formatRecord(answer as Record<string, unknown>, columns)
  const table = formatTable(answer.items, verb.columns, columns)
  const more = verb.call?.paged === 'cursor' && isString(answer.next_cursor) && !all
  return more ? `${table}There are more: use --all.\n` : table
}

function isString(value: unknown): value is string {
  return typeof value === 'string'
}

function isPage(value: unknown): value is Page {
  return isRecord(value) && Array.isArray(value['items'])
}
