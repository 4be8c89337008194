import { Unreachable } from './client.ts'

/** An event of a stream: where it stands, and its data, empty where only the place is told. */
interface StreamedEvent {
  id: string | undefined
  data: string
}

/**
 * Reads server-sent events (WHATWG HTML, section 9.2) as they come; `onBytes` hears of every sign of life. Throws Unreachable when
 * the connection breaks.
 */
export async function* readEvents(
  body: ReadableStream<Uint8Array>,
  onBytes: () => void,
): AsyncGenerator<StreamedEvent> {
  let id: string | undefined
  let data: string[] = []
  for await (const line of linesOf(body, onBytes)) {
    const colon = line.indexOf(':')
    const value = line.slice(colon + (line[colon + 1] === ' ' ? 2 : 1))
    if (line.startsWith('id:')) id = value
    if (line.startsWith('data:')) data.push(value)
    if (line !== '') continue
    yield { id, data: data.join('\n') }
    data = []
  }
}

async function* linesOf(body: ReadableStream<Uint8Array>, onBytes: () => void): AsyncGenerator<string> {
  const decoder = new TextDecoder()
  let rest = ''
  try {
    for await (const bytes of body) {
      onBytes()
      const lines = (rest + decoder.decode(bytes, { stream: true })).split('\n')
      rest = lines.pop() ?? ''
      yield* lines.map((line) => (line.endsWith('\r') ? line.slice(0, -1) : line))
    }
  } catch (error) {
    throw new Unreachable('the connection was cut', { cause: error })
  }
}
