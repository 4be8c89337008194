import type { DevicePage } from '../../../protocol/ade/index.ts'

/** Pages in a row that bring nothing although more is to follow. */
const MAX_EMPTY_PAGES = 20
/** Far more than the largest organisation has within the time of a run. */
const MAX_SYNC_PAGES = 5_000

/** Why a run cannot go on, in a word and a sentence. */
export class SyncFailure extends Error {
  readonly code: string

  constructor(code: string, message: string) {
    super(message)
    this.name = 'SyncFailure'
    this.code = code
  }
}

/** What a run remembers of its pages; neither a cycle of cursors nor pages without end may keep it for ever. */
export interface Progress {
  cursors: Set<string>
  pages: number
  emptyPages: number
  restarts: number
  /** It was told that Apple cannot be reached. */
  isTold: boolean
}

/** A run that has seen nothing. */
export function noProgress(): Progress {
  return { cursors: new Set(), pages: 0, emptyPages: 0, restarts: 0, isTold: false }
}

/** What comes after a page. */
export interface PageVerdict {
  /** More is to be asked for, with the cursor of this page. */
  isMore: boolean
  /** Nothing more can be asked for, though more follows: the run fails, after the page was written. */
  failure?: SyncFailure
  /** The cursor cannot be gone on from: a fetch of all devices has to begin anew. */
  isStuck?: boolean
}

/** Judges a page that was asked for with the cursor `asked`. Where Apple does not say whether more follows, asking tells. */
export function judgePage(page: DevicePage, asked: string | null, progress: Progress): PageVerdict {
  const { cursor, moreToFollow: said } = page
  if (said === false) return { isMore: false }
  if (cursor === undefined) {
    return stuck('no_cursor', 'Apple says that more devices follow, and gives no cursor to ask for them.')
  }
  if (asked !== null) progress.cursors.add(asked)
  const isRepeated = progress.cursors.has(cursor)
  progress.cursors.add(cursor)
  const isEmpty = page.devices.length + page.leftOut.length === 0
  if (said === undefined && (isRepeated || isEmpty)) return { isMore: false }
  if (isRepeated) {
    return stuck(
      'repeated_cursor',
      'Apple says that more devices follow, but gives a cursor that it gave before. What came until then is written down.',
    )
  }
  progress.pages += 1
  progress.emptyPages = isEmpty ? progress.emptyPages + 1 : 0
  if (progress.emptyPages > MAX_EMPTY_PAGES) {
    const text = 'Apple says again and again that more devices follow, and sends none.'
    return { isMore: false, failure: new SyncFailure('empty_pages', text) }
  }
  if (progress.pages >= MAX_SYNC_PAGES) {
    const text = `There is no end after ${MAX_SYNC_PAGES} pages; the next sync goes on from where this one came to.`
    return { isMore: false, failure: new SyncFailure('endless_pages', text) }
  }
  return { isMore: true }
}

function stuck(code: string, message: string): PageVerdict {
  return { isMore: false, failure: new SyncFailure(code, message), isStuck: true }
}
