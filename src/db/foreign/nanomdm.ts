import { sql } from 'kysely'
import { AppError } from '../../kernel/errors.ts'
import type { Db } from '../database.ts'

/** The tables of NanoMDM and the columns without which it is none; in newer versions the names of tables begin with `nano_`. */
const NEEDED = {
  devices: ['id', 'authenticate', 'token_update'],
  users: ['id', 'device_id', 'token_update'],
  enrollments: ['id', 'device_id', 'user_id', 'enabled', 'last_seen_at'],
  push_certs: ['topic', 'cert_pem', 'key_pem'],
  cert_auth_associations: ['id', 'sha256', 'created_at'],
} as const
type Table = keyof typeof NEEDED
/** Those of `devices` that came later. */
const LATER = ['identity_cert', 'serial_number', 'unlock_token', 'bootstrap_token_b64'] as const

/** A device as NanoMDM keeps it; texts are property lists, PEM, base64 and hexadecimal. */
export interface NanomdmDevice {
  id: string
  authenticate: string | null
  token_update: string | null
  identity_cert: string | null
  serial_number: string | null
  unlock_token: string | null
  bootstrap_token_b64: string | null
  enabled: boolean | null
  last_seen_at: Date | null
  /** SHA-256 of its certificates, the newest last. */
  certificates: string[]
  users: { id: string; token_update: string }[]
}

/** Reads a NanoMDM database in PostgreSQL. Throws `invalid_request` for one that is none. */
export async function readNanomdm(db: Db) {
  const { prefix, columns } = await look(db)
  const table = (name: Table) => sql.table(prefix + name)
  const later = LATER.map((name) =>
    columns.devices.has(name) ? sql`d.${sql.ref(name)}::text` : sql`null::text as ${sql.ref(name)}`,
  )
  return {
    /** How many devices there are. */
    async count(): Promise<number> {
      const { rows } = await sql<{
        count: number
      }>`select count(*) as count from ${table('devices')}`.execute(db.kysely)
      return rows[0]?.count ?? 0
    },
    /** Push certificates with their keys, in PEM, those first that most devices have. */
    async pushCertificates(): Promise<{ topic: string; cert_pem: string; key_pem: string }[]> {
      const columnsOfIt = sql`p.topic, p.cert_pem, p.key_pem`
      const { rows } = await sql<{ topic: string; cert_pem: string; key_pem: string }>`
        select ${columnsOfIt} from ${table('push_certs')} p
        order by (select count(*) from ${table('enrollments')} e where e.topic = p.topic and e.enabled) desc, p.topic`.execute(
        db.kysely,
      )
      return rows
    },
    /** Devices in the order of their ids, after this one. */
    async devices(after: string, limit: number): Promise<NanomdmDevice[]> {
      const { rows } = await sql<NanomdmDevice>`
        select d.id, d.authenticate, d.token_update, ${sql.join(later)}, e.enabled,
          e.last_seen_at at time zone 'UTC' as last_seen_at,
          coalesce((
            select array_agg(lower(c.sha256) order by c.created_at) from ${table('cert_auth_associations')} c
            where c.id = d.id
          ), '{}') as certificates,
          coalesce((
            select json_agg(json_build_object('id', u.id, 'token_update', u.token_update) order by u.id)
            from ${table('users')} u join ${table('enrollments')} ue on ue.user_id = u.id
            where u.device_id = d.id and u.token_update is not null and ue.enabled
          ), '[]') as users
        from ${table('devices')} d left join ${table('enrollments')} e on e.id = d.id
        where d.id > ${after} order by d.id limit ${limit}`.execute(db.kysely)
      return rows
    },
  }
}

async function look(db: Db): Promise<{ prefix: string; columns: Record<Table, Set<string>> }> {
  const { rows } = await sql<{ name: string; column: string }>`
    select c.relname as name, a.attname as column
    from pg_class c join pg_attribute a on a.attrelid = c.oid
    where pg_table_is_visible(c.oid) and c.relkind in ('r', 'p', 'v') and a.attnum > 0 and not a.attisdropped`.execute(
    db.kysely,
  )
  const of = (name: string) => new Set(rows.filter((row) => row.name === name).map(({ column }) => column))
  const prefix = of('nano_devices').size > 0 ? 'nano_' : ''
  const columns = Object.fromEntries(Object.keys(NEEDED).map((name) => [name, of(prefix + name)])) as Record<
    Table,
    Set<string>
  >
  for (const [name, needed] of Object.entries(NEEDED)) {
    const has = columns[name as Table]
    if (has.size === 0)
      throw new AppError(
        'invalid_request',
        `This is no database of NanoMDM: it has no table ${prefix}${name}.`,
      )
    const missing = needed.filter((column) => !has.has(column))
    if (missing.length > 0)
      throw new AppError(
        'invalid_request',
        `This is no database of a NanoMDM that is known: ${prefix}${name} lacks ${missing.join(', ')}.`,
      )
  }
  return { prefix, columns }
}
