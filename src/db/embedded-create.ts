/** Run as a process: makes an empty embedded database in the folder that it is given, and ends. */
import { mkdirSync } from 'node:fs'
import { PGlite } from '@electric-sql/pglite'
import { NodeFS } from '@electric-sql/pglite/nodefs'

const [, , folder] = process.argv
if (folder === undefined) throw new Error('The folder of the new database is missing.')
// Who asked is gone: the next start makes another.
process.on('disconnect', () => process.exit(1))

mkdirSync(folder, { mode: 0o700 })
const database = await PGlite.create({ fs: new NodeFS(folder) })
await database.close()
process.exit(0)
