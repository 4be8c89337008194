import { createLeases } from '../../../db/index.ts'
import { addTime } from '../../../kernel/clock.ts'
import type { AdeDeps } from '../deps.ts'
import * as servers from '../servers/store.ts'

/** A hold that ends sooner is renewed. */
const RENEW_SECONDS = 10

/**
 * Keeps processes with different public URLs on one database from defining each other's policies anew at Apple for ever:
 * those with one URL hold a server as long as one of them lives, the others change nothing at Apple and say so, once.
 */
export function createAddress({
  db,
  clock,
  log,
  publicUrl,
}: Pick<AdeDeps, 'db' | 'clock' | 'log' | 'publicUrl'>) {
  const leases = createLeases(
    { db, clock, log },
    { table: 'ade_servers', worker: publicUrl, holder: 'address', until: 'address_until' },
  )
  const told = new Set<string>()

  return {
    /** Whether this process may change things at Apple for a server. */
    async holds(server: servers.ServerRow): Promise<boolean> {
      const { id, address, address_until: until } = server
      const soon = addTime(clock.now(), RENEW_SECONDS, 'second')
      if (address === publicUrl && until !== null && until > soon) return true
      const isOurs = (await leases.take(id)) !== undefined
      if (isOurs) told.delete(id)
      else if (!told.has(id)) {
        told.add(id)
        log.error(
          {
            event: 'ade.public_url_differs',
            ade_server_id: id,
            public_url: publicUrl,
            other_public_url: address,
          },
          `Another process on this database tells devices to come to ${address}, this one to ${publicUrl}: it changes nothing at Apple as long as the other one lives. Give both the same FIRSTBOOT_PUBLIC_URL.`,
        )
      }
      return isOurs
    },
    /** This process stops. */
    leave: () => servers.leaveAddress(db.kysely, publicUrl, clock.now()),
  }
}
