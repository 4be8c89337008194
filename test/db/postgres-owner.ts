/** Run as a process: starts a PostgreSQL, tells where it is on the IPC channel, and waits to be killed. */
import { dirname } from 'node:path'
import { Client } from 'pg'
import { startPostgres } from '../support/postgres.ts'

const { url } = await startPostgres({ durable: true })
const client = new Client({ connectionString: url })
await client.connect()
const { rows } = await client.query<{ fsync: string; data: string }>(
  "select current_setting('fsync') as fsync, current_setting('data_directory') as data",
)
const [{ fsync, data } = { fsync: '', data: '' }] = rows
process.send?.({ url, fsync, folder: dirname(data) })
