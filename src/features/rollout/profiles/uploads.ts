import { AppError } from '../../../kernel/errors.ts'
import { UNSEEN } from '../../../kernel/names.ts'
import type { Clock } from '../../../kernel/clock.ts'
import type { Act } from '../../../kernel/act.ts'
import type { InspectedProfile, ProfileReader } from '../../../protocol/mobileconfig/index.ts'
import type { SettingsDoor } from '../../settings/index.ts'
import type { Warning } from './store.ts'

const MAX_NAME = 255
const ODD = new RegExp(`[${UNSEEN}]`, 'gu')

/** An upload that was found good. */
export interface Upload {
  body: Buffer
  found: InspectedProfile
  warnings: readonly Warning[]
}

/** Checks what administrators upload, before anything is locked for it. */
export function createUploads(deps: {
  clock: Clock
  reader: Pick<ProfileReader, 'inspect'>
  settings: Pick<SettingsDoor, 'get'>
  /** The identifier of the enrollment profile. */
  ours: string
}) {
  const { clock, reader, settings, ours } = deps

  /**
   * Throws AppError `payload_too_large`, `profile_invalid`, `profile_encrypted`, and `profile_breaks_management` without
   * `force`.
   */
  return async function check(body: Buffer, { act, force }: { act: Act; force: boolean }): Promise<Upload> {
    const { profile_max_bytes: most } = await settings.get()
    if (body.length > most)
      throw new AppError(
        'payload_too_large',
        `A profile may have ${most} bytes (the setting profile_max_bytes).`,
      )
    if (body.length === 0) throw new AppError('profile_invalid', 'There is no profile: the body is empty.')
    const lane = act.by?.id ?? ''
    const found = await reader.inspect(body, { now: clock.now(), ours, force, lane })
    return { body, found, warnings: warningsOf(found) }
  }
}

/** A name for administrators, from the one that people see on the device. */
export function nameFrom(shown: string): string {
  return shown.replace(ODD, ' ').trim().slice(0, MAX_NAME).toWellFormed().trim() || 'Profile'
}

function warningsOf({ signer, warnings }: InspectedProfile): Warning[] {
  const told = [...warnings]
  if (signer?.problem) told.unshift({ path: '', message: signer.problem })
  return told
}
