import type { Tx } from '../../../db/index.ts'
import { AppError, type Fault } from '../../../kernel/errors.ts'
import { checkCommand, fromJson, hiddenPlaces, markDataKeys } from '../../../protocol/mdm/index.ts'
import type { PlistDict } from '../../../protocol/plist/index.ts'
import type { WantedItem } from './items.ts'
import * as store from './store.ts'

/** Throws AppError `contents_invalid` that names every item with which something is wrong. */
export async function checkItems(trx: Tx, items: readonly WantedItem[]): Promise<string[]> {
  const things = items.flatMap((item) => (item.kind === 'command' ? [] : { kind: item.kind, id: item.id }))
  const known = await store.knownThings(trx, things)
  const seen = new Set<string>()
  const faults = items.flatMap((item, at) => {
    if (item.kind === 'command')
      return faultsOf(item.request_type, item.command ?? {}, `/items/${at}/command`)
    const key = `${item.kind} ${item.id}`
    const isTwice = seen.has(key)
    seen.add(key)
    if (!known.has(key)) return [{ pointer: `/items/${at}/id`, detail: `There is no such ${item.kind}.` }]
    return isTwice ? [{ pointer: `/items/${at}`, detail: 'It is in the contents twice.' }] : []
  })
  if (faults.length > 0) throw new AppError('contents_invalid', faults[0]?.detail ?? '', { faults })
  return items.flatMap((item) => {
    if (item.kind !== 'app' || item.critical !== true) return []
    const app = known.get(`app ${item.id}`)
    if (app?.appKind !== 'store' || app.licence === true) return []
    return `${app.name} is critical, and without device_licence it waits for an Apple Account in Setup Assistant.`
  })
}

/** Throws AppError `contents_invalid` for commands that are new and hold what was hidden when they were read: it is not known. */
export function refuseHidden(items: readonly WantedItem[], isNew: (at: number) => boolean): void {
  const faults = items.flatMap((item, at) =>
    item.kind === 'command' && isNew(at)
      ? hiddenPlaces(item.command ?? {}, `/items/${at}/command`).map((pointer) => ({
          pointer,
          detail: 'This was hidden when it was read: write what it is, or the whole command as it was read.',
        }))
      : [],
  )
  if (faults.length > 0) throw new AppError('contents_invalid', faults[0]?.detail ?? '', { faults })
}

/** What is wrong with the keys of a command, with pointers into the body. */
function faultsOf(type: string, fields: Record<string, unknown>, at: string): Fault[] {
  try {
    const command = fromJson(markDataKeys(type, fields)) as PlistDict
    return checkCommand(type, command).faults.map(({ pointer, detail }) => ({
      pointer: at + pointer,
      detail,
    }))
  } catch (error) {
    if (!(error instanceof AppError)) throw error
    return [{ pointer: at, detail: error.message }]
  }
}
