import type { Tx } from '../../../db/index.ts'
import { parseCommand } from '../../../protocol/mdm/index.ts'
import type { Commands } from '../../commands/index.ts'

/** What narrows a list down, in the commands that ask for one. */
const NARROWING = ['Identifiers', 'Items', 'ManagedAppsOnly', 'ManagedOnly']

/**
 * Which of these commands asked for all that there is: those of the server's own inventory, and of others those that do not narrow
 * their list down.
 */
export async function wholeAmong(
  trx: Tx,
  commands: Pick<Commands, 'asked'>,
  arrivals: readonly { command_uuid: string }[],
): Promise<Set<string>> {
  const asked = await commands.asked(trx, [...new Set(arrivals.map(({ command_uuid: uuid }) => uuid))])
  const whole = asked.filter(
    ({ purpose, body }) => purpose === 'inventory' || (body !== null && !narrows(body)),
  )
  return new Set(whole.map(({ uuid }) => uuid))
}

function narrows(body: Buffer): boolean {
  try {
    const { command } = parseCommand(body)
    return NARROWING.some((key) => command[key] !== undefined && command[key] !== false)
  } catch {
    return true
  }
}
