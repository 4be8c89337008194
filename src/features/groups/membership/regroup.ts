import type { Tx } from '../../../db/index.ts'
import { readFacts, type FactSource } from '../../../db/statements/device-facts.ts'
import type { Act } from '../../../kernel/act.ts'
import type { Clock } from '../../../kernel/clock.ts'
import type { Events } from '../../events/index.ts'
import { platformOf } from '../rules/platform.ts'
import { conditionsOf } from '../rules/rule.ts'
import { buildParts, versionParts } from '../rules/versions.ts'
import { deleteFacts, lockFacts, writeFacts, type DeviceFacts } from './facts-store.ts'
import { holdRules, policyResults, removeFromDynamic, settle, type Change } from './members-store.ts'
import { ruledGroups, ruleResults, type RuledGroup } from './rules-store.ts'
import { tellChanges, type Because } from './tell.ts'

/** Conditions of rules that are evaluated in one statement, about. */
const MAX_CONDITIONS = 500

/** What devices are put into groups with. */
export interface RegroupDeps {
  clock: Clock
  events: Pick<Events, 'emit'>
}

/**
 * Reads anew what is known of these devices, and puts them into the groups that follow from it. Whoever does so holds the rules
 * first and then the rows of the facts, and reads only then: of two at once the later one sees what made the other one come.
 */
export async function regroup(
  trx: Tx,
  { clock, events }: RegroupDeps,
  ids: readonly string[],
  cause: { because: Because; act?: Act | undefined },
): Promise<void> {
  if (ids.length === 0) return
  await holdRules(trx)
  await lockFacts(trx, ids)
  const live = (await readFacts(trx, ids)).map(factsOf)
  const isLive = new Set(live.map(({ enrollment_id }) => enrollment_id))
  const ended = ids.filter((id) => !isLive.has(id))
  const left = ended.length === 0 ? [] : await removeFromDynamic(trx, ended)
  await deleteFacts(trx, ended)
  await writeFacts(trx, live)
  await tellChanges(trx, events, left, { ...cause, because: 'unenrolled' })
  await tellChanges(trx, events, await changesOf(trx, [...isLive], clock.now()), cause)
}

async function changesOf(trx: Tx, ids: readonly string[], now: Date): Promise<Change[]> {
  const changes = await settle(trx, policyResults(ids), now)
  for (const some of portionsOf(await ruledGroups(trx)))
    changes.push(...(await settle(trx, ruleResults(some, ids, now), now)))
  return changes
}

/** Groups in portions that one statement takes. */
function* portionsOf(groups: readonly RuledGroup[]): Generator<RuledGroup[]> {
  let portion: RuledGroup[] = []
  let conditions = 0
  for (const group of groups) {
    portion.push(group)
    conditions += conditionsOf(group.rule).length
    if (conditions < MAX_CONDITIONS) continue
    yield portion
    portion = []
    conditions = 0
  }
  if (portion.length > 0) yield portion
}

function factsOf(source: FactSource): DeviceFacts {
  const { product_name, model_name, os_version, build_version } = source
  return {
    ...source,
    platform: platformOf(product_name, model_name),
    os_version_parts: os_version === null ? null : versionParts(os_version),
    build_version_parts: build_version === null ? null : buildParts(build_version),
  }
}
