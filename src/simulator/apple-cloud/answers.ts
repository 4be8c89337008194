/** What a call is answered with: JSON, or an error word. */
export type AdeAnswer =
  { status: 200; json: Record<string, unknown> } | { status: number; code: string; retryAfter?: number }

/** How Apple writes an error word: alone, in double quotes (its simulator), or in a JSON object. */
export type ErrorShape = 'bare' | 'quoted' | 'json'

/** An error word as body, with its content type. */
export function writeError(code: string, shape: ErrorShape): { type: string; body: string } {
  if (shape === 'bare') return { type: 'text/plain;charset=UTF-8', body: code }
  const value = shape === 'quoted' ? code : { code }
  return { type: 'application/json;charset=UTF-8', body: JSON.stringify(value) }
}

/** An error. */
export function refused(status: number, code: string): AdeAnswer {
  return { status, code }
}
