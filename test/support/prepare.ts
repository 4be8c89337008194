/** Run before the tests: sees to it that what they need from outside is there, or ends with the way to install it. */
import { requirePostgres } from './postgres.ts'

try {
  await requirePostgres()
} catch (error) {
  console.error(error instanceof Error ? error.message : error)
  process.exitCode = 1
}
