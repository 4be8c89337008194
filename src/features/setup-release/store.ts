import type { Selectable, Updateable } from 'kysely'
import type { Tx } from '../../db/index.ts'
import type { SetupReleasesTable } from '../../db/tables/setup-release.ts'

/** A device that is owed its release, or was. */
export type Release = Selectable<SetupReleasesTable>

/** Notes what a device that waits from its beginning on is asked first; the hold is that of its first TokenUpdate. */
export async function setFirstCommands(
  trx: Tx,
  enrollmentId: string,
  { at, command_uuids }: { at: Date; command_uuids: string[] },
): Promise<void> {
  await trx
    .updateTable('setup_releases')
    .set({ command_uuids })
    .where('enrollment_id', '=', enrollmentId)
    .where('created_at', '=', at)
    .where('command_uuids', 'is', null)
    .execute()
}

/** Owes a device nothing any more. */
export async function forget(trx: Tx, enrollmentId: string): Promise<void> {
  await trx.deleteFrom('setup_releases').where('enrollment_id', '=', enrollmentId).execute()
}

/** What is owed to a device, locked; undefined when that is nothing. */
export function lockOwed(trx: Tx, enrollmentId: string): Promise<Release | undefined> {
  return trx
    .selectFrom('setup_releases')
    .selectAll()
    .where('enrollment_id', '=', enrollmentId)
    .where('released_at', 'is', null)
    .forUpdate()
    .executeTakeFirst()
}

/** Writes down how far a release is. */
export async function update(
  trx: Tx,
  enrollmentId: string,
  set: Updateable<SetupReleasesTable>,
): Promise<void> {
  await trx.updateTable('setup_releases').set(set).where('enrollment_id', '=', enrollmentId).execute()
}
