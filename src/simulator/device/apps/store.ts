/** What the App Store knows of an app. */
export interface StoreApp {
  identifier: string
  name: string
  version: string
  /** Grows with each version. */
  storeVersion: number
  /** It costs something: without a licence it needs a redemption code. */
  isPaid?: boolean
  /** The organization has no licence for this device. */
  isUnlicensed?: boolean
}

/** The app with that number, as an App Store without a catalogue has it: its bundle id is made from the number. */
export function storeApp(id: number): StoreApp | undefined {
  if (!Number.isSafeInteger(id) || id < 1) return undefined
  return { identifier: `ch.example.store.app${id}`, name: `App ${id}`, version: '1.0', storeVersion: 1 }
}

/** The app with that bundle id, in such a store. */
export function storeAppNamed(identifier: string): StoreApp {
  return { identifier, name: identifier.split('.').at(-1) ?? identifier, version: '1.0', storeVersion: 1 }
}
