import { ADMIN_TOKEN } from './app.ts'
import type { AdeApp } from './ade-app.ts'

// oxlint-disable-next-line no-explicit-any -- an assertion on a missing property fails by itself
type Json = any
interface Answer {
  status: number
  body: Json
}

/** What an administrator does with ADE servers, as calls of the API. */
export interface AdeOperator {
  /** A call with a body of any type. */
  raw(method: string, path: string, sent?: { type: string; body: string | Uint8Array }): Promise<Answer>
  /** The `.pem` for Apple's portal. */
  key(id: string): Promise<string>
  /** Uploads a server token. */
  put(id: string, file: Uint8Array, query?: string): Promise<Answer>
  /** A server with a token, its first sync done; `name` in Apple's portal too. */
  server(name: string, serials?: readonly string[]): Promise<string>
  /** A sync by hand, to its end; gives the run. */
  sync(id: string): Promise<Json>
  /** Waits for the end of what runs; gives the last run. */
  synced(id: string): Promise<Json>
  device(serial: string): Promise<Json>
  /** Waits until something is true, moving the clock by a little each time. */
  until(isTrue: () => Promise<boolean> | boolean, stepMs?: number): Promise<void>
  /** Events of a type that are published, oldest first. */
  events(type: string): Promise<Json[]>
  /** Waits for an event. */
  event(type: string, isIt: (event: Json) => boolean): Promise<Json>
  /** Deletes all ADE servers: nothing is scheduled any more. */
  removeServers(): Promise<void>
}

/** The administrator of a server. */
export function adeOperator(world: AdeApp): AdeOperator {
  const { api, fake, url } = world

  const raw: AdeOperator['raw'] = async (method, path, sent) => {
    const answer = await fetch(`${url}/api/v1${path}`, {
      method,
      headers: { authorization: `Bearer ${ADMIN_TOKEN}`, ...(sent && { 'content-type': sent.type }) },
      ...(sent && { body: Buffer.from(sent.body) }),
    })
    const text = await answer.text()
    return { status: answer.status, body: /^[{[]/.test(text) ? JSON.parse(text) : text }
  }

  const until: AdeOperator['until'] = (isTrue, stepMs = 100) => world.until(isTrue, stepMs)

  const key = async (id: string) => (await raw('GET', `/ade-servers/${id}/encryption-key`)).body as string
  const put: AdeOperator['put'] = (id, file, query = '') =>
    raw('PUT', `/ade-servers/${id}/token${query}`, { type: 'application/octet-stream', body: file })

  const events: AdeOperator['events'] = async (type) =>
    (await api('GET', `/events?type=${type}&limit=1000`)).body.items

  async function synced(id: string): Promise<Json> {
    // A scheduled one that has become due starts now.
    await world.pass(1)
    await until(async () => !(await api('GET', `/ade-servers/${id}`)).body.sync.running)
    return (await api('GET', `/ade-servers/${id}`)).body.sync.last
  }

  return {
    ...{ raw, until, key, put, synced },
    async server(name, serials = []) {
      const { id } = (await api('POST', '/ade-servers', { name })).body
      const file = fake.portal.addServer({ name, certificatePem: await key(id) })
      fake.portal.addDevices(serials, name)
      const stored = await put(id, file, '?apple_id=admin@example.com')
      if (stored.status !== 200) throw new Error(JSON.stringify(stored.body))
      await synced(id)
      return id
    },
    async sync(id) {
      let started = await api('POST', `/ade-servers/${id}/syncs`)
      // After a leap of the clock a scheduled one may run first.
      while (started.body.code === 'sync_running') {
        await synced(id)
        started = await api('POST', `/ade-servers/${id}/syncs`)
      }
      if (started.status !== 202) throw new Error(JSON.stringify(started.body))
      await synced(id)
      return (await api('GET', `/ade-servers/${id}/syncs/${started.body.id}`)).body
    },
    device: async (serial) => (await api('GET', `/ade-devices/${serial}`)).body,
    events,
    async event(type, isIt) {
      await until(async () => (await events(type)).some(isIt), 500)
      return (await events(type)).find(isIt)
    },
    async removeServers() {
      for (const { id } of (await api('GET', '/ade-servers')).body.items) {
        await synced(id)
        await api('DELETE', `/ade-servers/${id}`)
      }
    },
  }
}
