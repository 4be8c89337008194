import type { ServerResponse } from 'node:http'

/** Answers with JSON that nobody keeps. */
export function json(response: ServerResponse, status: number, value: object): void {
  response.statusCode = status
  response.setHeader('content-type', 'application/json').setHeader('cache-control', 'no-store')
  response.end(JSON.stringify(value))
}

/** Answers with a page. */
export function html(response: ServerResponse, status: number, text: string): void {
  response.statusCode = status
  response.setHeader('content-type', 'text/html;charset=utf-8').end(text)
}

/** Sends the browser on, with these added to the query. */
export function redirect(
  response: ServerResponse,
  target: string,
  query: Readonly<Record<string, string>>,
): void {
  const url = new URL(target)
  for (const [name, value] of Object.entries(query)) url.searchParams.set(name, value)
  response.statusCode = 302
  response.setHeader('location', url.href).end()
}
