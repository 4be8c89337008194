import { AppError } from '../../src/kernel/errors.ts'

/** The AppError that an action ends with; undefined when it succeeds. Any other error is passed on. */
export function refusal(action: () => unknown): AppError | undefined {
  try {
    action()
    return undefined
  } catch (error) {
    if (error instanceof AppError) return error
    throw error
  }
}
