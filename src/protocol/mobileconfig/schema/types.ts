/** In which version of a system a thing was deprecated or removed. */
interface End {
  deprecated?: string
  removed?: string
}

/** By Apple's names of the systems. */
export type Ends = Readonly<Record<string, End>>

/** A key of a dictionary, or what the items of an array are. A key that begins with `ANY` stands for every key. */
export interface PayloadKey {
  key: string
  type: string
  required?: boolean
  values?: readonly (string | number)[]
  range?: { min?: number; max?: number }
  on?: Ends
  keys?: readonly PayloadKey[]
}

/** A payload of Apple's schema. */
export interface PayloadType {
  type: string
  on?: Ends
  keys: readonly PayloadKey[]
}
