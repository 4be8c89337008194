/** Priorities by name; greater goes first. */
export const PRIORITIES = { low: -1, normal: 0, high: 1 } as const
