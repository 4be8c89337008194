import type { Tx } from '../../db/index.ts'
import { isRecord } from '../../kernel/records.ts'
import type { Groups } from '../groups/index.ts'
import type { Problem } from './kinds-schema.ts'

/** What a policy must know of the sources at which people sign in. */
export type SignInSources = {
  findSource: (
    db: Tx,
    id: string,
  ) => Promise<{ id: string; kind: 'local' | 'ws_trust' | 'oidc'; name: string } | undefined>
}

/** Checks what a policy names besides itself. */
export function createReferences(deps: { groups: Pick<Groups, 'hold'>; signin: SignInSources }) {
  async function groupProblems(trx: Tx, id: string): Promise<Problem[]> {
    const group = await deps.groups.hold(trx, id)
    if (group?.kind === 'static') return []
    return [{ path: 'group_id', message: group === undefined ? 'is no group' : 'is no static group' }]
  }

  async function sourceProblems(trx: Tx, id: string, document: Record<string, unknown>): Promise<Problem[]> {
    const source = await deps.signin.findSource(trx, id)
    if (source === undefined) return [{ path: 'sign_in_source_id', message: 'is no sign-in source' }]
    const { user_affinity: affinity, ade } = document
    const isNative = affinity === 'prompt' && isRecord(ade) && ade['sign_in'] === 'native'
    if (source.kind !== 'oidc' || !isNative) return []
    const message = `must be web, because people sign in to "${source.name}" (oidc) on its own page`
    return [{ path: 'ade.sign_in', message }]
  }

  return {
    /** Everything wrong with the ids in a policy's document; a group that it names is kept until `trx` ends. */
    async problemsOf(trx: Tx, document: unknown): Promise<Problem[]> {
      if (!isRecord(document)) return []
      const { group_id: groupId, sign_in_source_id: sourceId } = document
      return [
        ...(isId(sourceId) ? await sourceProblems(trx, sourceId, document) : []),
        ...(isId(groupId) ? await groupProblems(trx, groupId) : []),
      ]
    },
  }
}

/** Databases refuse some texts; what is no id at all is told as such already. */
function isId(value: unknown): value is string {
  return typeof value === 'string' && /^[\x21-\x7e]{1,64}$/.test(value)
}
