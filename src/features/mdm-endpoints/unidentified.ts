import { refused, type Refused } from '../enrollment/index.ts'

/** Nobody of ours: a stranger's certificate is refused, anything unreadable is a bad request. */
export function unidentified(problem: string): Refused {
  const isStranger = problem === 'foreign' || problem.startsWith('client_certificate')
  return refused(problem, { status: isStranger ? 403 : 400 })
}
