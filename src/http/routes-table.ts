import type { FastifyInstance } from 'fastify'

/** Which methods an address takes; asked only when a request found no route. */
export type RoutesTable = ReturnType<typeof createRoutesTable>

/** A table of the routes by pattern, for telling 405 from 404 (RFC 9110, section 15.5.6). */
export function createRoutesTable() {
  const patterns = new Map<string, { parts: readonly string[]; methods: Set<string> }>()
  return {
    /** Notes every route that `app` and its children will have. */
    watch(app: FastifyInstance): void {
      app.addHook('onRoute', ({ url, method }) => {
        const pattern = patterns.get(url) ?? { parts: url.split('/'), methods: new Set() }
        ;[method].flat().forEach((name) => pattern.methods.add(name))
        patterns.set(url, pattern)
      })
    },
    /** The methods of the routes that match the path, in the order of their names; empty when there is no such address. */
    methodsOf(path: string): string[] {
      // As the router has it: neither doubled slashes nor one at the end count.
      const given = ['', ...path.split('/').filter((part) => part !== '')]
      const found = [...patterns.values()].filter(({ parts }) => matches(parts, given))
      return [...new Set(found.flatMap(({ methods }) => [...methods]))].toSorted()
    },
  }
}

/** Whether the parts of a path are those of a pattern, where `:name` is any part and a final `*` any number of them. */
function matches(parts: readonly string[], given: readonly string[]): boolean {
  const isOpen = parts.at(-1) === '*'
  if (isOpen ? given.length < parts.length : given.length !== parts.length) return false
  return parts.every(
    (part, at) => part === '*' || part === given[at] || (part.startsWith(':') && given[at] !== ''),
  )
}
