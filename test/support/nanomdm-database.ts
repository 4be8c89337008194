import { Client } from 'pg'

/** The tables of NanoMDM that matter here, as its version 0.8 has them in PostgreSQL. */
const TABLES = [
  `create table devices (id varchar(255) primary key, identity_cert text, serial_number varchar(127), unlock_token text,
    authenticate text not null, token_update text, bootstrap_token_b64 text, created_at timestamp default now())`,
  `create table users (id varchar(255) primary key, device_id varchar(255) not null references devices, token_update text)`,
  `create table enrollments (id varchar(255) primary key, device_id varchar(255) not null references devices,
    user_id varchar(255) references users, type varchar(31) not null, topic varchar(255) not null, enabled boolean not null,
    last_seen_at timestamp not null)`,
  `create table push_certs (topic varchar(255) primary key, cert_pem text not null, key_pem text not null)`,
  `create table cert_auth_associations (id varchar(255), sha256 char(64), created_at timestamp default clock_timestamp(),
    primary key (id, sha256))`,
]

/** A database of NanoMDM that tests fill. */
export interface NanomdmDatabase {
  run(sql: string, values?: readonly unknown[]): Promise<void>
  close(): Promise<void>
}

/** Makes the tables in an empty database. */
export async function nanomdmDatabase(url: string): Promise<NanomdmDatabase> {
  const client = new Client({ connectionString: url })
  await client.connect()
  for (const table of TABLES) await client.query(table)
  return {
    run: async (sql, values = []) => void (await client.query(sql, [...values])),
    close: () => client.end(),
  }
}
