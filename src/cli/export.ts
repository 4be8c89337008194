import type { ApiClient } from './client.ts'
import { visible } from './terminal.ts'

const LARGEST_PAGE = '1000'

/** Writes every item of a list as a line of JSON, page by page, however long the list is. */
export async function exportLines(
  api: ApiClient,
  path: string,
  query: Readonly<Record<string, string>>,
  write: (text: string) => void,
): Promise<void> {
  let cursor: string | null = null
  do {
    const parameters: Record<string, string> = { limit: LARGEST_PAGE, ...query, ...(cursor && { cursor }) }
    const page = (await api({ method: 'GET', path, query: parameters })) as {
      items: unknown[]
      next_cursor: string | null
    }
    write(page.items.map((item) => `${visible(JSON.stringify(item))}\n`).join(''))
    cursor = page.next_cursor
  } while (cursor !== null)
}
