import { expect, onTestFinished, test } from 'vitest'
import { startFakeOidc } from '../../../src/simulator/index.ts'
import { startTestApp } from '../../support/app.ts'
import { describeEachEngine } from '../../support/database.ts'
import { testKey } from '../../support/keys.ts'

describeEachEngine('odd values at the pages of enrollment', (database) => {
  test('are the mistake of whoever sends them: 4xx, whatever they are', async () => {
    const world = await startTestApp({ db: database() })
    onTestFinished(() => world.close())
    const oidc = await startFakeOidc({
      clientId: 'firstboot',
      clientSecret: 'secret',
      key: testKey('other'),
      clock: world.clock,
      redirectUris: [`${world.url}/enroll/oidc/callback`],
    })
    onTestFinished(() => oidc.close())
    const source = await world.api('POST', '/sign-in-sources', {
      kind: 'oidc',
      name: 'Provider',
      issuer: oidc.issuer,
      client_id: 'firstboot',
      client_secret: 'secret',
    })

    /** A browser on the page, with the cookie that the last answer left it. */
    async function browser() {
      let cookie = ''
      const ask = async (path: string, init: RequestInit = {}) => {
        const headers = { cookie }
        const response = await fetch(`${world.url}${path}`, { redirect: 'manual', ...init, headers })
        const set = response.headers.get('set-cookie')
        if (set !== null) cookie = set.split(';')[0] ?? ''
        return { status: response.status, headers: response.headers, text: await response.text() }
      }
      const page = await ask('/enroll')
      const token = /name="csrf_token" value="([^"]+)"/.exec(page.text)?.[1] ?? ''
      return { ask, token }
    }

    const { ask } = await browser()
    for (const value of [
      'x%00',
      '%00',
      '',
      'local',
      '%ED%A0%80',
      'x'.repeat(4_000),
      `${source.body.id}%00`,
      '%',
    ])
      for (const query of [`source=${value}`, `source=${value}&source=${source.body.id}`])
        expect([query.slice(0, 40), (await ask(`/enroll/oidc/start?${query}`)).status]).toEqual([
          query.slice(0, 40),
          422,
        ])
    expect((await ask('/enroll/oidc/start')).status).toBe(422)

    const odd = ['%00', 'a%00b', '%ED%A0%80', '%F0%9F%98', '%', 'x'.repeat(6_000), '%E2%80%AE', '<b>', '']
    for (const value of odd) {
      const { ask: asks } = await browser()
      const started = await asks(`/enroll/oidc/start?source=${source.body.id}`)
      const state = new URL(started.headers.get('location') ?? '').searchParams.get('state') ?? ''
      for (const query of [
        `state=${value}`,
        `state=${value}&state=${state}`,
        `code=${value}`,
        `error=${value}`,
        `state[]=${state}&code=1`,
        `STATE=${state}&code=1`,
      ]) {
        const { status } = await asks(`/enroll/oidc/callback?${query}`)
        expect([query.slice(0, 40), status >= 400 && status < 500]).toEqual([query.slice(0, 40), true])
      }
      const last = await asks(
        `/enroll/oidc/callback?state=${state}&error=${value}&error=${value}&error_description=${value}&iss=${oidc.issuer}`,
      )
      expect([value.slice(0, 40), last.status >= 400 && last.status < 600 && last.status !== 500]).toEqual([
        value.slice(0, 40),
        true,
      ])
    }

    for (const value of ['a\0b', '\0', 'a\ud800', '\u202e', 'x'.repeat(3_000)]) {
      const { ask: asks, token } = await browser()
      for (const fields of [
        { csrf_token: token, user_name: value, password: 'x' },
        { csrf_token: token, user_name: 'x', password: value },
        { csrf_token: value, user_name: 'x', password: 'x' },
      ]) {
        const body = new URLSearchParams(fields)
        const { status } = await asks('/enroll', { method: 'POST', body })
        expect([JSON.stringify(fields).slice(0, 60), status >= 400 && status < 500]).toEqual([
          JSON.stringify(fields).slice(0, 60),
          true,
        ])
      }
    }
    expect(world.logText()).not.toContain('"level":50')
  }, 240_000)
})
