/** What was used last, as far as there is room for it; what is being made is made once. */
export function createRecent<T>({ room, sizeOf }: { room: number; sizeOf: (value: T) => number }) {
  const kept = new Map<string, { value: T; size: number }>()
  const making = new Map<string, Promise<T>>()
  let used = 0

  function find(key: string): T | undefined {
    const entry = kept.get(key)
    if (entry === undefined) return undefined
    kept.delete(key)
    kept.set(key, entry)
    return entry.value
  }

  function keep(key: string, value: T): void {
    const size = sizeOf(value)
    used += size - (kept.get(key)?.size ?? 0)
    kept.delete(key)
    kept.set(key, { value, size })
    for (const [oldest, entry] of kept) {
      if (used <= room) return
      kept.delete(oldest)
      used -= entry.size
    }
  }

  return {
    find,
    keep,
    /** What is kept, or is made now. */
    async get(key: string, make: () => Promise<T>): Promise<T> {
      const known = find(key)
      if (known !== undefined) return known
      const running = making.get(key) ?? make().finally(() => making.delete(key))
      making.set(key, running)
      const value = await running
      if (!kept.has(key)) keep(key, value)
      return value
    },
  }
}
