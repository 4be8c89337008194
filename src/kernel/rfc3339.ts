const FORM =
  /^(\d{4})-(\d\d)-(\d\d)T(?:[01]\d|2[0-3]):[0-5]\d:[0-5]\d(?:\.\d{1,9})?(?:Z|[+-](?:[01]\d|2[0-3]):[0-5]\d)$/i
const EARLIEST = Date.parse('0001-01-01T00:00:00Z')
const LAST = Date.parse('9999-12-31T23:59:59.999Z')

/**
 * The moment that a text of RFC 3339 (section 5.6) names, in the years 1 to 9999; undefined for any other text. A leap second is
 * refused: neither JavaScript nor PostgreSQL has one.
 */
export function parseTime(text: string): Date | undefined {
  const [, year, month, day] = FORM.exec(text) ?? []
  const time = new Date(year === undefined ? NaN : text.toUpperCase())
  // The engine takes 30 February for 2 March.
  const daysInMonth = new Date(Date.UTC(Number(year), Number(month), 0)).getUTCDate()
  const isUsable = time.getTime() >= EARLIEST && time.getTime() <= LAST && Number(day) <= daysInMonth
  return isUsable ? time : undefined
}
