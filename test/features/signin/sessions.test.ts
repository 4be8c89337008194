import { expect, test } from 'vitest'
import { sha256 } from '../../../src/kernel/ids.ts'
import { describeEachEngine } from '../../support/database.ts'
import { manualClock } from '../../support/manual-clock.ts'
import { signinWorld } from './signin-world.ts'

const cookieOf = (setCookie: string) => setCookie.split(';', 1)[0] ?? ''

describeEachEngine('web sessions', (database) => {
  test('a browser has what it was given, by its cookie', async () => {
    const { signin } = signinWorld(database())
    const { session, setCookie } = await signin.sessions.open({ attempt: 'a1' })
    expect(setCookie).toBe(
      `firstboot_enroll=${session.id}; Max-Age=1800; Path=/enroll; HttpOnly; SameSite=Lax`,
    )
    const header = `other=1; ${cookieOf(setCookie)}; more="x"`
    expect(await signin.sessions.find(header)).toEqual(session)
    const planted = `firstboot_enroll=${'A'.repeat(43)}; ${header}`
    expect((await signin.sessions.find(planted))?.id).toBe(session.id)
    for (const none of [
      undefined,
      '',
      'firstboot_enroll=',
      `firstboot_enroll=${'B'.repeat(43)}`,
      'x'.repeat(20_000),
    ])
      expect(await signin.sessions.find(none)).toBeUndefined()
  })

  test('behind https the cookie is for https alone', async () => {
    const { signin } = signinWorld(database(), { publicUrl: 'https://mdm.example.com' })
    const { session, setCookie } = await signin.sessions.open()
    expect(setCookie).toBe(
      `__Host-firstboot_enroll=${session.id}; Max-Age=1800; Path=/; HttpOnly; SameSite=Lax; Secure`,
    )
    expect(await signin.sessions.find(`firstboot_enroll=${session.id}`)).toBeUndefined()
    expect(await signin.sessions.find(cookieOf(setCookie))).toEqual(session)
    expect(await signin.sessions.end(session)).toContain('__Host-firstboot_enroll=; Max-Age=0; Path=/;')
  })

  test('the database holds neither the id nor what is remembered', async () => {
    const { signin, db, lines } = signinWorld(database())
    const { session } = await signin.sessions.open({ serial: 'C02VISIBLE' })
    const row = await db.kysely
      .selectFrom('web_sessions')
      .selectAll()
      .where('id_hash', '=', sha256(session.id))
      .executeTakeFirstOrThrow()
    const kept = Buffer.concat([row.id_hash, row.state])
    expect(kept.includes(session.id)).toBe(false)
    expect(kept.includes('C02VISIBLE')).toBe(false)
    expect(lines.join()).not.toContain(session.id)
  })

  test('a session ends after 30 minutes, or when it is ended', async () => {
    const clock = manualClock()
    const { signin, db } = signinWorld(database(), { clock })
    const { session, setCookie } = await signin.sessions.open()
    clock.advance(29 * 60_000)
    expect(await signin.sessions.find(cookieOf(setCookie))).toBeDefined()
    const renewed = await signin.sessions.renew(session)
    expect(renewed?.setCookie).toContain('Max-Age=60;')
    clock.advance(60_000)
    expect(await signin.sessions.find(cookieOf(renewed?.setCookie ?? ''))).toBeUndefined()
    expect(await signin.sessions.renew(renewed?.session ?? session)).toBeUndefined()
    await signin.maintain()
    const rows = await db.kysely
      .selectFrom('web_sessions')
      .select('id_hash')
      .where('id_hash', '=', sha256(renewed?.session.id ?? ''))
      .execute()
    expect(rows).toEqual([])
    const other = await signin.sessions.open()
    await signin.sessions.end(other.session)
    expect(await signin.sessions.find(cookieOf(other.setCookie))).toBeUndefined()
  })

  test('a renewed session has a new id and a new token; the old cookie is worth nothing', async () => {
    const { signin } = signinWorld(database())
    const { session, setCookie } = await signin.sessions.open({ serial: 'C1' })
    const renewed = await signin.sessions.renew(session)
    expect(renewed?.session).toMatchObject({ state: { serial: 'C1' }, expiresAt: session.expiresAt })
    expect(renewed?.session.id).not.toBe(session.id)
    expect(await signin.sessions.find(cookieOf(setCookie))).toBeUndefined()
    expect(await signin.sessions.renew(session)).toBeUndefined()
    expect(signin.sessions.csrfMatches(renewed?.session ?? session, session.csrfToken)).toBe(false)
  })

  test('forms carry the token of their session', async () => {
    const { signin } = signinWorld(database())
    const [{ session }, { session: other }] = [await signin.sessions.open(), await signin.sessions.open()]
    expect(signin.sessions.csrfMatches(session, session.csrfToken)).toBe(true)
    expect(session.csrfToken).not.toContain(session.id)
    for (const wrong of [other.csrfToken, session.id, '', undefined, null, [session.csrfToken], 7])
      expect(signin.sessions.csrfMatches(session, wrong)).toBe(false)
  })
})
