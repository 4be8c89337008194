import { classOf } from './failures.ts'
import { clearFailure, fail, REFUSED, wait, type Settled } from './settle.ts'
import type { Row } from './store.ts'
import { OF_ANOTHER_COMMAND, type Device, type Goods, type Report, type Version } from './types.ts'

/** Minutes to the next tries of what was acknowledged and is not there. */
const NOT_THERE_PAUSES = [15, 60, 360, 1_440] as const
/** Why an app is not there yet that a list has named as on its way. */
const INSTALLING = 'installing'
/** Lists that may not yet name what was acknowledged. */
const MOST_ASKS_UNLISTED = 6

/** Compares a row with what the device has listed since its last answer. */
export function judge(
  row: Row,
  device: Device,
  goods: Goods | undefined,
  { now, sentAt }: { now: Date; sentAt: Date | null },
): Settled {
  if (goods === undefined) return {}
  if (!row.is_wanted) return judgeRemoval(row, device, goods)
  if (row.command_uuid !== null) return sentAt === null ? {} : judgeUnanswered(row, device, goods, sentAt)
  const version = thereOf(row)
  if (row.acknowledged_at === null) return {}
  if (row.reason === REFUSED) return judgeError(row, device, goods, now)
  if (row.state === 'failed' && version === null) return judgeFailed(row, device, goods)
  if (version === null) return {}
  const report = goods.report(device, version, row.acknowledged_at)
  return isOfFormer(row, goods.rendering(device)) ? takeFormer(row, report) : take(row, report, goods, now)
}

/** What is on a device as far as is known. */
export function thereOf(row: Row): Version | null {
  const { there_revision: revision, there_rendering: rendering } = row
  return revision === null || rendering === null ? null : { revision, rendering }
}

/** What the last command of a row carries. */
export function sentOf(row: Row): Version | null {
  const { sent_revision: revision, sent_rendering: rendering } = row
  return revision === null || rendering === null ? null : { revision, rendering }
}

function take(row: Row, report: Report, goods: Goods, now: Date): Settled {
  // What has failed is tried again when it is time; until then a list can only say that it is there all the same.
  if (row.state === 'failed' && report.state !== 'there') return {}
  switch (report.state) {
    case 'untold':
      return {}
    case 'there':
      return noteThere(row)
    case 'waits_for_person':
      return wait(row, 'waits_for_person', null)
    case 'on_its_way':
      return row.state === 'installed' ? {} : queueing(row)
    case 'failed':
      // The next try is an installation, whatever was acknowledged.
      forgetVersion(row)
      return fail(
        row,
        { reason: report.reason, pauses: report.isFinal ? [] : NOT_THERE_PAUSES },
        row.error_chain,
        now,
      )
    case 'absent':
    case 'other':
      return row.is_listed ? drift(row, goods, now) : neverListed(row, goods, now)
  }
}

/** What is on the device is what was there before, and how the row stands is of what was, or is, to replace it. */
function isOfFormer(row: Row, rendering: string): boolean {
  const [there, sent] = [thereOf(row), sentOf(row)]
  if (there === null || sent === null || row.state === 'installed' || row.state === 'queued') return false
  if (there.revision !== sent.revision || there.rendering !== sent.rendering) return true
  return there.revision !== row.revision || there.rendering !== rendering
}

function takeFormer(row: Row, report: Report): Settled {
  if (report.state === 'there') row.is_listed = true
  if (report.state === 'absent' || report.state === 'other') forgetThere(row)
  return {}
}

function noteThere(row: Row): Settled {
  row.is_listed = true
  if (row.state === 'installed') {
    row.attempts = 0
    return {}
  }
  row.state = 'installed'
  clearFailure(row)
  return { told: 'delivery.installed' }
}

function queueing(row: Row): Settled {
  row.state = 'queued'
  row.reason = INSTALLING
  return {}
}

/** It was there, and is not any more: somebody has taken it away, or time has. */
function drift(row: Row, goods: Goods, now: Date): Settled {
  forgetThere(row)
  if (goods.removedAt !== null && goods.removedAt <= now) {
    row.state = 'expired'
    clearFailure(row)
    return { told: 'delivery.expired' }
  }
  row.state = 'pending'
  row.cause = 'drifted'
  clearFailure(row)
  return { told: 'delivery.drifted' }
}

/** Nobody knows any more whether something of it is on the device. */
export function forgetThere(row: Row): void {
  forgetVersion(row)
  row.acknowledged_at = null
}

/** It is not on the device; a later list may say that it has come all the same. */
function forgetVersion(row: Row): void {
  row.there_revision = null
  row.there_rendering = null
  row.is_listed = false
}

function neverListed(row: Row, goods: Goods, now: Date): Settled {
  // A list that came before it was begun does not name it; one that has named it as on its way is right when it names it no more.
  const isEarly = row.reason !== INSTALLING && row.asks < MOST_ASKS_UNLISTED
  if (!goods.isThereWhenAcknowledged && isEarly) return {}
  forgetVersion(row)
  return fail(row, { reason: 'not_on_device', pauses: NOT_THERE_PAUSES }, null, now)
}

/** After an error the next list decides: what is there, or on its way, has not failed. */
function judgeError(row: Row, device: Device, goods: Goods, now: Date): Settled {
  const sent = sentOf(row)
  if (sent === null || row.acknowledged_at === null) return {}
  const report = goods.report(device, sent, row.acknowledged_at)
  if (report.state === 'untold') return {}
  if (report.state === 'absent' || report.state === 'other') {
    forgetVersion(row)
    return fail(row, classOf('error', row.error_chain), row.error_chain, now)
  }
  // What was refused has configured nothing.
  row.there_revision = sent.revision
  row.there_rendering = OF_ANOTHER_COMMAND
  clearFailure(row)
  return take(row, report, goods, now)
}

/** What was sent and has failed by what a list said is installed when a later one says so, whoever asked for it. */
function judgeFailed(row: Row, device: Device, goods: Goods): Settled {
  const sent = sentOf(row)
  if (sent === null || row.acknowledged_at === null) return {}
  if (sent.revision !== row.revision || sent.rendering !== goods.rendering(device)) return {}
  if (goods.report(device, sent, row.acknowledged_at).state !== 'there') return {}
  row.there_revision = sent.revision
  row.there_rendering = sent.rendering
  return noteThere(row)
}

/** Listed counts as installed, even if the answer was lost. */
function judgeUnanswered(row: Row, device: Device, goods: Goods, sentAt: Date): Settled {
  const sent = sentOf(row)
  if (sent === null || !goods.isThereWhenAcknowledged || !row.may_be_there) return {}
  const { profiles } = device.listed
  if (profiles === null || goods.report(device, sent, sentAt).state !== 'there') return {}
  row.there_revision = sent.revision
  row.there_rendering = sent.rendering
  row.acknowledged_at = profiles.at
  row.command_uuid = null
  return noteThere(row)
}

function judgeRemoval(row: Row, device: Device, goods: Goods): Settled {
  const version = thereOf(row) ?? sentOf(row)
  if (version === null || row.acknowledged_at === null) return {}
  const { state } = goods.report(device, version, row.acknowledged_at)
  return state === 'absent' ? { gone: true, told: 'delivery.removed' } : {}
}
