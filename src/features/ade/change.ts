import type { Change } from './deps.ts'

/** Who asks, as a request of the operator scope says it. */
export function changeOf(request: {
  actor: { id: string }
  id: string
  checkIfMatch: (version: number) => void
}): Change {
  return {
    actorId: request.actor.id,
    requestId: request.id,
    check: (version) => request.checkIfMatch(version),
  }
}
