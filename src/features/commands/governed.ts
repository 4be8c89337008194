import { parseCommand } from '../../protocol/mdm/index.ts'
import type { GovernedAct } from '../governor/index.ts'
import type { NewCommand } from './new-command.ts'

/** The name by which the governor knows that a command is to be queued. */
export const QUEUE = 'commands.queue'

/** The commands that destroy something, whoever sends them by whatever way. */
const ACT_OF: Readonly<Record<string, GovernedAct>> = {
  EraseDevice: 'erase',
  DeleteUser: 'erase',
  DeviceLock: 'lock',
  EnableLostMode: 'lock',
  SetRecoveryLock: 'lock',
  SetFirmwarePassword: 'lock',
  ClearPasscode: 'clear_passcode',
  ClearRestrictionsPassword: 'clear_passcode',
  RemoveProfile: 'remove_profile',
  RemoveProvisioningProfile: 'remove_profile',
  RemoveApplication: 'remove_app',
}

/** As which act a command counts; undefined: it destroys nothing. */
export function governedActOf(
  { requestType, body, purpose }: NewCommand,
  enrollmentIdentifier: string,
): GovernedAct | undefined {
  const act = Object.hasOwn(ACT_OF, requestType) ? ACT_OF[requestType] : undefined
  if (requestType !== 'RemoveProfile') return act
  const { Identifier: identifier } = parseCommand(body).command
  const isOurs = typeof identifier === 'string' && identifier.trim() === enrollmentIdentifier
  return purpose === 'unenroll' || isOurs ? 'unenroll' : act
}

/** A command as it waits for its approval; its targets wait beside it. */
export function toParams({ targets: _targets, body, notBefore, expiresAt, ...rest }: NewCommand) {
  return {
    ...rest,
    body: body.toString('base64'),
    ...(notBefore && { notBefore: notBefore.toISOString() }),
    ...(expiresAt && { expiresAt: expiresAt.toISOString() }),
  }
}

/** The same back. */
export function fromParams(params: unknown): NewCommand {
  const { body, notBefore, expiresAt, ...rest } = params as ReturnType<typeof toParams>
  return {
    ...(rest as Omit<NewCommand, 'targets' | 'body'>),
    targets: [],
    body: Buffer.from(body, 'base64'),
    ...(notBefore !== undefined && { notBefore: new Date(notBefore) }),
    ...(expiresAt !== undefined && { expiresAt: new Date(expiresAt) }),
  }
}
