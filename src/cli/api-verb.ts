import { isUtf8 } from 'node:buffer'
import { writeFile } from 'node:fs/promises'
import { isRecord } from '../kernel/records.ts'
import type { CommonOptions } from './arguments.ts'
import type { ApiCall, ApiClient } from './client.ts'
import { resolveReferences } from './references.ts'
import type { Reporter } from './reporter.ts'
import { formatRecord, formatTable } from './table.ts'
import { visibleLines } from './terminal.ts'
import { waitFor } from './wait.ts'
import { UsageError, type Input, type Verb } from './verb.ts'

interface Page {
  items: unknown[]
  next_cursor: string | null
}

const LARGEST_PAGE = 1000

/** What a verb has to say: data for stdout, a remark for stderr, and whether all that was asked for is done or on its way, or waits for a second person. */
interface Said {
  text: string
  note?: string
  outcome: 'ok' | 'failed' | 'waits'
}

/** Makes the call of a verb. */
export async function runApiVerb(
  verb: Verb,
  input: Input,
  common: CommonOptions,
  deps: { api: ApiClient; columns: number | undefined; signal: () => AbortSignal; reporter: Reporter },
): Promise<Said> {
  const { api } = deps
  // What is wrong with the command line itself is told before the server is asked for anything.
  await buildCall(verb, input)
  await resolveReferences(verb, input, api)
  const call = await buildCall(verb, input)
  const paged = verb.call?.paged
  const first =
    paged === undefined ? await api(call) : await readAll(call, paged, { ...deps, limit: common.limit })
  const approval = approvalIn(first)
  if (approval !== undefined) return tellApproval(approval, first, common, deps.columns)
  const partial = verb.isPartial?.(first) ?? false
  const { answer, ok } =
    common.waitMs === undefined
      ? { answer: first, ok: true }
      : await waitFor(
          verb,
          { input, answer: first },
          { ...deps, forMs: common.waitMs, signal: deps.signal() },
        )
  if (Buffer.isBuffer(answer))
    return { ...(await keep(answer, common.to, verb)), outcome: ok ? 'ok' : 'failed' }
  const shown = await keepFile(verb, answer, common.to)
  return { ...render(verb, shown, common, deps.columns), outcome: ok && !partial ? 'ok' : 'failed' }
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
): Said {
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
async function keep(bytes: Buffer, to: string | undefined, verb: Verb): Promise<Omit<Said, 'outcome'>> {
  if (to === undefined) {
    if (!isUtf8(bytes)) throw new UsageError('what came is no text: say --to FILE', verb)
    return { text: visibleLines(bytes.toString()) }
  }
  await write(bytes, to, verb)
  return { text: '', note: `${bytes.length} bytes are in ${to}.\n` }
}

/** Keeps the file that is a member of the answer, where one is wanted; its name stands in its place then. */
async function keepFile(verb: Verb, answer: unknown, to: string | undefined): Promise<unknown> {
  if (to === undefined || !isRecord(answer)) return answer
  const member = verb.fileIn?.find((name) => typeof answer[name] === 'string')
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

/** Follows the cursor to the end, or until there are as many as are wanted. A list with `after` gives a cursor at its end too. */
async function readAll(
  call: ApiCall,
  parameter: 'cursor' | 'after',
  { api, reporter, limit = Infinity }: { api: ApiClient; reporter: Reporter; limit?: number | undefined },
): Promise<unknown> {
  const items: unknown[] = []
  const query: Record<string, string> = { ...call.query }
  try {
    for (;;) {
      query['limit'] = String(Math.min(LARGEST_PAGE, limit - items.length))
      const page = await api({ ...call, query })
      // A status lists devices only when it is asked for those in one state.
      if (!isPage(page)) return page
      // One by one: a spread of some ten thousand would overflow the stack.
      for (const item of page.items) items.push(item)
      if (page.next_cursor === null || page.items.length === 0 || items.length >= limit)
        return { ...page, items }
      query[parameter] = page.next_cursor
      reporter.tell(`${items.length} read`)
    }
  } finally {
    reporter.end()
  }
}

function render(
  verb: Verb,
  answer: unknown,
  { output }: CommonOptions,
  columns: number | undefined,
): Omit<Said, 'outcome'> {
  if (output === 'json')
    return { text: answer === undefined ? '' : `${visibleLines(JSON.stringify(answer, null, 2))}\n` }
  if (verb.show !== undefined) return verb.show(answer)
  if (answer === undefined || (verb.done !== undefined && !isPage(answer)))
    return { text: '', note: `${verb.done ?? 'Done.'}\n` }
  if (typeof answer === 'string')
    return { text: visibleLines(answer.endsWith('\n') ? answer : `${answer}\n`) }
  if (!isPage(answer) || verb.isRecord === true)
    return { text: formatRecord(answer as Record<string, unknown>, columns) }
  if (answer.items.length === 0) return { text: '', note: 'Nothing.\n' }
  const text = formatTable(answer.items, verb.columns, columns)
  // The cursor of what is read on by `after` is there at the end too.
  const hasMore = verb.call?.paged === 'cursor' && answer.next_cursor !== null
  return { text, ...(hasMore && { note: 'There are more: raise --limit, or leave it out.\n' }) }
}

function isPage(value: unknown): value is Page {
  return isRecord(value) && Array.isArray(value['items'])
}
