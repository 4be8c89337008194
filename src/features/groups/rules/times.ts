const MAX_YEARS = 100
const DAY = 86_400
const DAYS_OF_YEAR = 365
const LEAST_DAYS_OF_MONTH = 28

const DURATION =
  /^-P(?:(\d{1,6})Y)?(?:(\d{1,6})M)?(?:(\d{1,6})W)?(?:(\d{1,6})D)?(?:T(?:(\d{1,6})H)?(?:(\d{1,6})M)?(?:(\d{1,6})S)?)?$/

/** How long ago: an ISO 8601 duration with a minus in front. */
interface Age {
  months: number
  seconds: number
}

/** Reads "-P7D" and the like; undefined when it is none, is empty, or goes back more than 100 years. */
export function parseAge(text: string): Age | undefined {
  const parts = DURATION.exec(text)
  if (parts === null || text.endsWith('T') || text === '-P') return undefined
  const [years, months, weeks, days, hours, minutes, seconds] = Array.from({ length: 7 }, (_, at) =>
    Number(parts[at + 1] ?? 0),
  ) as [number, number, number, number, number, number, number]
  const age = {
    months: years * 12 + months,
    seconds: (weeks * 7 + days) * DAY + hours * 3600 + minutes * 60 + seconds,
  }
  return age.months / 12 + age.seconds / (DAY * DAYS_OF_YEAR) > MAX_YEARS ? undefined : age
}

/** The time that was so long ago; the last day of a month stands for days that it does not have. UTC. */
export function timeAgo({ months, seconds }: Age, now: Date): Date {
  const then = new Date(now)
  const day = then.getUTCDate()
  then.setUTCDate(1)
  then.setUTCMonth(then.getUTCMonth() - months)
  const last = new Date(Date.UTC(then.getUTCFullYear(), then.getUTCMonth() + 1, 0)).getUTCDate()
  then.setUTCDate(Math.min(day, last))
  return new Date(then.getTime() - seconds * 1000)
}

/** How many seconds that is at least, whatever months it goes over. */
export function leastSeconds({ months, seconds }: Age): number {
  return months * LEAST_DAYS_OF_MONTH * DAY + seconds
}

/** The moment before. */
export function justBefore(time: Date): Date {
  return new Date(time.getTime() - 1)
}
