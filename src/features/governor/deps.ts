import type { Db } from '../../db/index.ts'
import type { Clock } from '../../kernel/clock.ts'
import type { Log } from '../../kernel/log.ts'
import type { SecretBox } from '../../kernel/secret-box.ts'
import type { Events } from '../events/index.ts'

/** What the slice is made of. */
export interface GovernorDeps {
  db: Db
  clock: Clock
  log: Log
  secretBox: SecretBox
  events: Pick<Events, 'emit'>
}
