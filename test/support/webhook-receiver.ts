import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'

/** A message that came. */
export interface Received {
  id: string
  headers: IncomingMessage['headers']
  text: string
  body: { id: string; type: string; enrollment_id: string | null; user_name: string | null }
}

/** What a receiver does with a message: a status, or whatever the function does. */
type Answer = number | ((response: ServerResponse) => void)

/** A receiver of webhooks that answers as told, 204 as long as nothing is. */
export interface Receiver {
  url: string
  received: Received[]
  /** The names of users in the order in which they came. */
  names(): string[]
  answer: (message: Received) => Answer
  close(): Promise<void>
}

/** Starts one, at a port if that matters. */
export async function startReceiver(port = 0): Promise<Receiver> {
  const receiver: Receiver = {
    url: '',
    received: [],
    names: () => receiver.received.map(({ body }) => body.user_name ?? ''),
    answer: () => 204,
    async close() {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
  const server = createServer((request, response) => void take(request, response))
  async function take(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const chunks: Buffer[] = []
    try {
      for await (const chunk of request as AsyncIterable<Buffer>) chunks.push(chunk)
    } catch {
      return
    }
    const text = Buffer.concat(chunks).toString()
    const { headers } = request
    const message = { id: String(headers['webhook-id']), headers, text, body: JSON.parse(text) }
    receiver.received.push(message)
    const answer = receiver.answer(message)
    if (typeof answer === 'number') response.writeHead(answer).end()
    else answer(response)
  }
  await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve))
  receiver.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/hook`
  return receiver
}
