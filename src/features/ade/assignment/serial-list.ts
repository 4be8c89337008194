/** A serial number in a list that somebody wrote, and the line it stands on. */
export interface ListedSerial {
  serial: string
  line: number
}

/**
 * The serial numbers of a CSV: the first field of each line, quoted or not, after a comma, semicolon or tab the rest. A
 * byte order mark, empty lines and a heading are passed over.
 */
export function readSerialList(text: string): ListedSerial[] {
  const lines = text.replace(/^\uFEFF/, '').split(/\r\n|\n|\r/)
  return lines.flatMap((content, index) => {
    const serial = firstField(content)
    if (serial === '' || (index === 0 && isHeading(serial))) return []
    return [{ serial, line: index + 1 }]
  })
}

/** What the serial number is for Apple: in capitals, without space around it; undefined when it cannot be one. */
export function toSerial(text: string): string | undefined {
  const serial = text.trim().toUpperCase()
  return /^[!-~]{1,64}$/.test(serial) ? serial : undefined
}

function firstField(line: string): string {
  const quoted = /^\s*"((?:[^"]|"")*)"/.exec(line)
  const field = quoted === null ? (line.split(/[,;\t]/, 1)[0] ?? '') : (quoted[1] ?? '').replaceAll('""', '"')
  return field.trim()
}

function isHeading(field: string): boolean {
  return /^(device\s*)?serial([\s_-]*(number|no\.?|nr\.?|#))?s?$/i.test(field)
}
