import { randomUUID } from 'node:crypto'
import { expect, test } from 'vitest'
import { selfSigned } from '../../support/certificates.ts'
import { describeEachEngine } from '../../support/database.ts'
import { PATH, newName, policiesWorld } from './world.ts'
import { ACT } from '../../support/act.ts'

describeEachEngine('policies that are refused', (database) => {
  const world = () => policiesWorld(database())

  test('all problems are named at once, those of form and those of sense', async () => {
    const { call, groups, db } = await world()
    const own = await db.transaction((trx) =>
      groups.ensurePolicyGroup(trx, { id: randomUUID(), name: newName() }, ACT),
    )
    const answer = await call('POST', PATH, {
      name: 'x'.repeat(126),
      description: 7,
      user_affinity: 'maybe',
      sign_in_source_id: 'nowhere',
      group_id: own.id,
      colour: 'red',
      ade: {
        enabled: 'yes',
        department: 'x'.repeat(126),
        support_phone_number: '1'.repeat(51),
        support_email_address: 'nobody',
        supervised: false,
        locked: true,
        pairing: 'require_certificate',
        pairing_certificates: [],
        setup_assistant: { siri: 1, homework: true },
        additional_skip_keys: ['a b', ''],
        minimum_os_version: '17.x',
        await_device_configured: true,
        configuration_deadline_minutes: 0,
        sign_in: 'paper',
        extra: null,
        more: 1,
      },
    })
    expect(answer).toMatchObject({ status: 400, body: { code: 'invalid_request' } })
    expect(
      new Map(answer.body.errors.map((each: { path: string; message: string }) => [each.path, each.message])),
    ).toEqual(
      new Map([
        ['name', 'must have at most 125 characters'],
        ['description', 'must be a text'],
        ['user_affinity', 'must be one of none, prompt'],
        ['ade.enabled', 'must be true or false'],
        ['ade.department', 'must have at most 125 characters'],
        ['ade.support_phone_number', 'must have at most 50 characters'],
        ['ade.support_email_address', 'must be an email address'],
        ['ade.setup_assistant.siri', 'must be true or false'],
        ['ade.setup_assistant.homework', 'is not known here'],
        ['ade.additional_skip_keys.0', 'must be 1 to 64 characters without space'],
        ['ade.additional_skip_keys.1', 'must be 1 to 64 characters without space'],
        ['ade.minimum_os_version', 'must be a version such as 17.5.1'],
        ['ade.configuration_deadline_minutes', 'must be a whole number from 1 to 1440'],
        ['ade.sign_in', 'must be one of native, web'],
        ['ade.more', 'is not known here'],
        ['colour', 'is not known here'],
        ['ade.locked', 'needs ade.supervised'],
        ['ade.await_device_configured', 'needs ade.supervised'],
        ['ade.pairing', 'require_certificate needs ade.supervised'],
        [
          'ade.pairing_certificates',
          'must have 1 to 10 certificates, because ade.pairing is require_certificate',
        ],
        ['sign_in_source_id', 'is no sign-in source'],
        ['group_id', 'is no static group'],
      ]),
    )
    expect(answer.body.detail).toBe('The field name must have at most 125 characters. 21 more are wrong.')
  })

  const ten = Array.from({ length: 10 }, () => selfSigned('Host').certPem)
  test.each<[string, object, string[]]>([
    ['no name', {}, ['name']],
    ['a null name', { name: null }, ['name']],
    ['an empty name', { name: '' }, ['name']],
    ['space around the name', { name: ' a ' }, ['name']],
    ['a control character', { name: 'a\u0007' }, ['name']],
    ['half a character', { name: 'a', description: '\ud800' }, ['description']],
    ['a bell', { name: 'a', description: '\u0007' }, ['description']],
    ['a part that is none', { name: 'a', ade: [] }, ['ade']],
    ['panes that are none', { name: 'a', ade: { setup_assistant: true } }, ['ade.setup_assistant']],
    ['an id that is none', { name: 'a', group_id: 'a b' }, ['group_id']],
    ['an unknown group', { name: 'a', group_id: 'unknown' }, ['group_id']],
    ['a number as id', { name: 'a', sign_in_source_id: 1 }, ['sign_in_source_id']],
    [
      'half a minute',
      { name: 'a', ade: { configuration_deadline_minutes: 0.5 } },
      ['ade.configuration_deadline_minutes'],
    ],
    [
      'days of waiting',
      { name: 'a', ade: { configuration_deadline_minutes: 1441 } },
      ['ade.configuration_deadline_minutes'],
    ],
    [
      'too long an email',
      { name: 'a', ade: { support_email_address: `${'x'.repeat(249)}@b` } },
      ['ade.support_email_address'],
    ],
    [
      'too many keys',
      { name: 'a', ade: { additional_skip_keys: Array(101).fill('A') } },
      ['ade.additional_skip_keys'],
    ],
    [
      'too long a key',
      { name: 'a', ade: { additional_skip_keys: ['A'.repeat(65)] } },
      ['ade.additional_skip_keys.0'],
    ],
    ['locked only', { name: 'a', ade: { locked: true, supervised: false } }, ['ade.locked']],
    ['no certificate', { name: 'a', ade: { pairing: 'require_certificate' } }, ['ade.pairing_certificates']],
    [
      'needless certificates',
      { name: 'a', ade: { pairing_certificates: ten.slice(0, 1) } },
      ['ade.pairing_certificates'],
    ],
    [
      'eleven certificates',
      { name: 'a', ade: { pairing: 'require_certificate', pairing_certificates: [...ten, ten[0]] } },
      ['ade.pairing_certificates'],
    ],
    [
      'certificates that are none',
      {
        name: 'a',
        ade: {
          pairing: 'require_certificate',
          pairing_certificates: [
            7,
            'nothing',
            '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n',
            `${ten[0]}${ten[1]}`,
            ten[2],
            `${ten[3]}${selfSigned('Host').keyPem}`,
          ],
        },
      },
      [0, 1, 2, 3, 5].map((index) => `ade.pairing_certificates.${index}`),
    ],
  ])('%s is refused by name', async (_, body, paths) => {
    const { call } = await world()
    const answer = await call('POST', PATH, body)
    expect(answer.status).toBe(400)
    expect(answer.body.errors.map((each: { path: string }) => each.path)).toEqual(paths)
  })

  test.each([['"text"'], ['[]'], ['null'], ['7']])('a body of %s is refused', async (payload) => {
    const { call } = await world()
    const headers = { 'content-type': 'application/json' }
    expect((await call('POST', PATH, payload, headers)).body.detail).toBe('The policy must be an object.')
    const { body } = await call('POST', PATH, { name: newName() })
    expect((await call('PATCH', `${PATH}/${body.id}`, payload, headers)).status).toBe(400)
  })

  test("Apple's limits are reached, and empty texts are null", async () => {
    const { call } = await world()
    const ade = {
      department: 'x'.repeat(125),
      support_phone_number: '1'.repeat(50),
      support_email_address: `${'x'.repeat(248)}@b`,
      pairing: 'require_certificate',
      pairing_certificates: ten,
    }
    const name = randomUUID().padEnd(125, 'x')
    const made = await call('POST', PATH, { name, ade })
    expect(made).toMatchObject({ status: 201, body: { name, ade: { department: ade.department } } })
    const empty = {
      department: '',
      support_phone_number: '',
      support_email_address: '',
      minimum_os_version: '',
    }
    expect((await call('PATCH', `${PATH}/${made.body.id}`, { ade: empty })).body.ade).toMatchObject({
      department: null,
      support_phone_number: null,
      support_email_address: null,
      minimum_os_version: null,
    })
  })

  test('a patch is judged with what is there already', async () => {
    const { call } = await world()
    const { body } = await call('POST', PATH, { name: newName(), ade: { locked: true } })
    const refused = await call('PATCH', `${PATH}/${body.id}`, { ade: { supervised: false } })
    const message = 'needs ade.supervised'
    expect(refused.body.errors).toEqual([
      { path: 'ade.locked', message, pointer: '/ade/locked', detail: message },
    ])
    const both = { ade: { supervised: false, locked: false } }
    expect((await call('PATCH', `${PATH}/${body.id}`, both)).status).toBe(200)
  })

  test('people sign in at an OIDC source on its web page only', async () => {
    const { call, db } = await world()
    const id = randomUUID()
    const name = `OIDC ${id}`
    await db.kysely.insertInto('sign_in_sources').values({ id, kind: 'oidc', name, config: '{}' }).execute()
    const policy = { name: newName(), user_affinity: 'prompt', sign_in_source_id: id }
    expect((await call('POST', PATH, policy)).body.errors).toMatchObject([
      {
        path: 'ade.sign_in',
        message: `must be web, because people sign in to "${name}" (oidc) on its own page`,
      },
    ])
    expect((await call('POST', PATH, { ...policy, ade: { sign_in: 'web' } })).status).toBe(201)
    expect((await call('POST', PATH, { ...policy, name: newName(), user_affinity: 'none' })).status).toBe(201)
  })

  test('the description of the API says what a policy may be', async () => {
    const { call } = await world()
    const { paths, components } = (await call('GET', '/openapi.json')).body
    const sent = paths['/api/v1/enrollment-policies'].post.requestBody.content['application/json'].schema
    expect(sent).toEqual({ $ref: '#/components/schemas/NewEnrollmentPolicy' })
    const body = components.schemas.NewEnrollmentPolicy
    expect(body.required).toEqual(['name'])
    expect(body.additionalProperties).toBe(false)
    expect(Object.keys(body.properties)).toEqual(
      expect.arrayContaining(['name', 'user_affinity', 'group_id', 'ade']),
    )
    expect(JSON.stringify(components.schemas.AdePolicyPatch)).toContain('require_certificate')
  })

  test('unknown query parameters are refused here too', async () => {
    const { call } = await world()
    expect((await call('POST', `${PATH}?force=true`, { name: newName() })).status).toBe(400)
  })
})
