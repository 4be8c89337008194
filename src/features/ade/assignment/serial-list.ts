import { setImmediate as nextTurn } from 'node:timers/promises'

/** Lines that are read before others have their turn. */
const LINES_AT_A_TIME = 2_000
/** Characters of a line that are looked at; a serial number has some twelve. */
const LOOKED_AT = 1_000

/** A serial number in a list that somebody wrote, and the line it stands on. */
export interface ListedSerial {
  serial: string
  line: number
}

/**
 * The serial numbers of a CSV: the first field of each line, quoted or not, after a comma, semicolon or tab the rest. A
 * byte order mark, empty lines and a heading are passed over. Read bit by bit, as a list may be long; one beyond `most` is the
 * last that is read.
 */
export async function readSerialList(text: string, most: number): Promise<ListedSerial[]> {
  const found: ListedSerial[] = []
  let line = 0
  for (const content of linesOf(text.replace(/^\uFEFF/, ''))) {
    line += 1
    const serial = firstField(content.slice(0, LOOKED_AT))
    if (serial !== '' && !(line === 1 && isHeading(serial))) found.push({ serial, line })
    if (found.length > most) break
    if (line % LINES_AT_A_TIME === 0) await nextTurn()
  }
  return found
}

/** A line ends with CR, LF or both. */
function* linesOf(text: string): Generator<string> {
  const end = /\r\n|\n|\r/g
  let start = 0
  for (let found = end.exec(text); found !== null; found = end.exec(text)) {
    yield text.slice(start, found.index)
    start = end.lastIndex
  }
  yield text.slice(start)
}

function firstField(line: string): string {
  const quoted = /^\s*"((?:[^"]|"")*)"/.exec(line)
  const field = quoted === null ? (line.split(/[,;\t]/, 1)[0] ?? '') : (quoted[1] ?? '').replaceAll('""', '"')
  return field.trim()
}

function isHeading(field: string): boolean {
  return /^(device\s*)?serial([\s_-]*(number|no\.?|nr\.?|#))?s?$/i.test(field)
}
