/** Who acts, as events tell it. */
export interface Actor {
  kind: 'api_token' | 'person'
  id: string
  name: string
}

/** By what way an act came. */
const VIAS = ['api', 'nanomdm', 'cli', 'page', 'device', 'job'] as const
type Via = (typeof VIAS)[number]

/** A request as the audit trail tells it. */
export interface Asked {
  /** Names its entry until that has a number. */
  entry: string
  /** The address that it came from. */
  address: string
  /** Method and route, such as `PATCH /users/{id}`. */
  action: string
  object: { kind: string; id: string | null } | null
  /** What was told of the thing before. */
  before: unknown
  /** Whether its entry was written with a change. */
  isNoted: boolean
}

/** A change that somebody asks for: who, by what way, in which request, and of which version of the thing. */
export interface Act {
  /** Null: the server itself. */
  by: Actor | null
  via: Via
  /** Ids of the tokens that made the actor's token, the first maker first: whoever acts may be one of them. */
  makers: readonly string[]
  request_id?: string
  /** The approval that a second person gave for it. */
  approval_id?: string
  /** Of a request to an API. */
  asked?: Asked
  /** Throws AppError `precondition_failed` when the act is meant for other versions of the thing than this one. */
  checkVersion(version: number): void
}

const ANY_VERSION = () => undefined

/** An act of a person who proved to be that, at a page of ours. */
export function actOfPerson(person: { id: string; user_name: string }, request_id: string): Act {
  const by: Actor = { kind: 'person', id: person.id, name: person.user_name }
  return { by, via: 'page', makers: [], request_id, checkVersion: ANY_VERSION }
}

/** What the server does in consequence of a request, or of nobody's. */
export function actOfServer(via: 'page' | 'device' | 'job' = 'job', request_id?: string): Act {
  return {
    by: null,
    via,
    makers: [],
    ...(request_id !== undefined && { request_id }),
    checkVersion: ANY_VERSION,
  }
}

/** The act of whoever is told to have made a change, for what follows from it later. */
export function actAsTold({ by, via }: { by: Actor | null; via: string | null }): Act {
  return { by, via: VIAS.find((each) => each === via) ?? 'job', makers: [], checkVersion: ANY_VERSION }
}
