import type { FastifyInstance } from 'fastify'

/** Which methods an address takes; asked only when a request found no route. */
export type RoutesTable = {
  /** Notes every route that `app` and its children will have. */
  watch(app: FastifyInstance): void
  /** The methods of the routes that match the path, in the order of their names; empty when there is no such address. */
  methodsOf(path: string): string[]
}

/** A table of the routes by pattern, for telling 405 from 404 (RFC 9110, section 15.5.6). */
export function createRoutesTable(): RoutesTable {
  const patterns = new Map<string, { matches: RegExp; methods: Set<string> }>()
  return {
    watch(app) {
      app.addHook('onRoute', ({ url, method }) => {
        const pattern = patterns.get(url) ?? { matches: toRegExp(url), methods: new Set() }
        ;[method].flat().forEach((name) => pattern.methods.add(name))
        patterns.set(url, pattern)
      })
    },
    methodsOf(path) {
      const found = [...patterns.values()].filter(({ matches }) => matches.test(path))
      return [...new Set(found.flatMap(({ methods }) => [...methods]))].toSorted()
    },
  }
}

function toRegExp(url: string): RegExp {
  const source = url
    .replaceAll(/[.+?^${}()|[\]\\]/g, '\\$&')
    .replaceAll(/:\w+/g, '[^/]+')
    .replaceAll('*', '.*')
  return new RegExp(`^${source}$`)
}
