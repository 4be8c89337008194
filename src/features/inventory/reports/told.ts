import type { Log } from '../../../kernel/log.ts'
import type { MessageReader, Report } from '../../../protocol/mdm/index.ts'
import type { Commands } from '../../commands/index.ts'
import type { Devices, Enrollment } from '../../devices/index.ts'
import type { Events } from '../../events/index.ts'
import type { Details } from './reports-store.ts'

/** The answer of a device that has brought inventory. */
export interface Arrival {
  enrollment_id: string
  command_uuid: string
  kind: string | null
  at: Date
}

/** What a device told, read. */
export interface Told<R extends Report = Report> {
  device: Enrollment
  details: Details
  report: R
  /** When it came. */
  at: Date
  /** Whether what is not in it is not there. */
  isWhole: boolean
}

/** What taking inventory in is made of. */
export interface ReportsDeps {
  log: Log
  reader: Pick<MessageReader, 'readReport'>
  events: Pick<Events, 'emit'>
  devices: Pick<Devices, 'findEnrollments' | 'findInventories' | 'updateEnrollment'>
  commands: Pick<Commands, 'asked'>
}
