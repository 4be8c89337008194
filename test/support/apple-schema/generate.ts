import { writeFileSync } from 'node:fs'
import path from 'node:path'
import { type Described, type Key, type SupportedOn, readFolder } from './read.ts'

/**
 * Writes what of Apple's schema is part of the product: `node test/support/apple-schema/generate.ts FOLDER`, where FOLDER is a
 * checkout of github.com/apple/device-management. The YAML itself is not part of this repository.
 */

const [folder, ...rest] = process.argv.slice(2)
if (folder === undefined || rest.length > 0) {
  console.error('usage: node test/support/apple-schema/generate.ts FOLDER')
  process.exit(2)
}

write('src/protocol/mdm/schema/commands.json', readFolder(path.join(folder, 'mdm/commands')).map(commandOf))
write(
  'src/protocol/mobileconfig/schema/profiles.json',
  readFolder(path.join(folder, 'mdm/profiles')).map(payloadOf),
)

function commandOf({ payload, on, keys }: Described) {
  return { request_type: payload['requesttype'], on, ...(keys.length > 0 && { keys }) }
}

function payloadOf({ payload, on, keys }: Described) {
  return { type: payload['payloadtype'], ...endOf(on), keys: keys.map(payloadKeyOf) }
}

/** A profile is not for one device: of the systems it matters only where a thing has its end. */
function payloadKeyOf({ key, type, required, values, range, on = {}, keys = [] }: Key): object {
  return {
    ...{ key, type, required, values, range },
    ...endOf(on),
    ...(keys.length > 0 && { keys: keys.map(payloadKeyOf) }),
  }
}

function endOf(on: SupportedOn): { on?: object } {
  const ends = Object.entries(on).flatMap(([system, support]) => {
    const { deprecated, removed } = support ?? {}
    return deprecated === undefined && removed === undefined ? [] : [[system, { deprecated, removed }]]
  })
  return ends.length === 0 ? {} : { on: Object.fromEntries(ends) as object }
}

/** One thing a line, so that a change of the schema is a change of a few lines. */
function write(file: string, things: readonly object[]): void {
  const lines = things.map((thing) => JSON.stringify(thing)).toSorted()
  writeFileSync(path.resolve(import.meta.dirname, '../../..', file), `[\n${lines.join(',\n')}\n]\n`)
  console.log(`${file}: ${lines.length}`)
}
