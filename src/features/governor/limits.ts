/** Acts that destroy something, or cannot be undone. */
export const GOVERNED_ACTS = [
  'erase',
  'lock',
  'unenroll',
  'clear_passcode',
  'remove_profile',
  'release',
  'delete_group',
  'remove_app',
  'identity',
] as const

/** One of them. */
export type GovernedAct = (typeof GOVERNED_ACTS)[number]

/** How many devices an act may be for in an hour; null = any number. */
interface Limit {
  per_token_per_hour: number | null
  per_hour: number | null
}

/** What an administrator has set, or the defaults. */
export interface Limits {
  acts: Record<GovernedAct, Limit>
  /** What becomes of an act that does not fit. */
  above: 'approval' | 'refuse'
  /** So long an act that was accepted can be taken back. */
  undo_minutes: number
  /** So long an approval waits. */
  approval_expires_minutes: number
}

const of = (per_token_per_hour: number, per_hour: number): Limit => ({ per_token_per_hour, per_hour })

const DEFAULTS: Limits = {
  acts: {
    erase: of(5, 20),
    lock: of(20, 100),
    unenroll: of(20, 100),
    clear_passcode: of(20, 100),
    remove_profile: of(200, 1000),
    release: of(5, 20),
    delete_group: of(5, 20),
    remove_app: of(200, 1000),
    identity: of(20, 100),
  },
  above: 'approval',
  undo_minutes: 0,
  approval_expires_minutes: 1440,
}

/** What is to change of the limits; what is left out stays. */
export type LimitsPatch = Partial<Omit<Limits, 'acts'>> & {
  acts?: { [A in GovernedAct]?: Partial<Limit> }
}

/** The limits as they are with what was set; an act or field that nobody has set has its default. */
export function withDefaults(set: LimitsPatch): Limits {
  return patched(DEFAULTS, set)
}

/** The limits after a change. */
export function patched(limits: Limits, patch: LimitsPatch): Limits {
  const { acts = {}, ...rest } = patch
  const entries = GOVERNED_ACTS.map((act) => [act, { ...limits.acts[act], ...acts[act] }] as const)
  return { ...limits, ...rest, acts: Object.fromEntries(entries) as Limits['acts'] }
}

/** One value that differs, by its path. */
interface Change {
  before: unknown
  after: unknown
}

/** What differs between two, and which of that lets more happen than before. */
export function compare(
  before: Limits,
  after: Limits,
): { changed: Record<string, Change>; loosened: string[] } {
  const all: [string, unknown, unknown, boolean][] = [
    ...GOVERNED_ACTS.flatMap((act) =>
      (['per_token_per_hour', 'per_hour'] as const).map((name): [string, unknown, unknown, boolean] => {
        const [was, is] = [before.acts[act][name], after.acts[act][name]]
        return [`acts.${act}.${name}`, was, is, numberOf(is) > numberOf(was)]
      }),
    ),
    ['above', before.above, after.above, after.above === 'approval'],
    ['undo_minutes', before.undo_minutes, after.undo_minutes, after.undo_minutes < before.undo_minutes],
    [
      'approval_expires_minutes',
      before.approval_expires_minutes,
      after.approval_expires_minutes,
      after.approval_expires_minutes > before.approval_expires_minutes,
    ],
  ]
  const differing = all.filter(([, was, is]) => was !== is)
  return {
    changed: Object.fromEntries(differing.map(([path, was, is]) => [path, { before: was, after: is }])),
    loosened: differing.flatMap(([path, , , isLooser]) => (isLooser ? [path] : [])),
  }
}

function numberOf(limit: number | null): number {
  return limit ?? Number.POSITIVE_INFINITY
}

/** Whether an act for so many devices fits, after what was accepted in the last hour; 0 fits nothing. */
export function fits(limit: Limit, used: { byAsker: number; byAll: number }, devices: number): boolean {
  const { per_token_per_hour: perToken, per_hour: perHour } = limit
  return used.byAsker + devices <= numberOf(perToken) && used.byAll + devices <= numberOf(perHour)
}
