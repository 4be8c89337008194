import { afterAll, beforeAll, expect, test } from 'vitest'
import type { Device } from '../../src/simulator/index.ts'
import { startTestApp, type TestApp } from '../support/app.ts'
import { describeOnEngine } from '../support/database.ts'
import { deliveryWorld } from '../support/delivery-world.ts'

const MINUTE = 60_000
const HOUR = 60 * MINUTE

describeOnEngine('postgres', 'rollouts', (database) => {
  let world: TestApp
  let at: ReturnType<typeof deliveryWorld>
  beforeAll(async () => {
    world = await startTestApp({ db: database() })
    at = deliveryWorld(world, 'rollouts')
  })
  afterAll(() => world.close())

  const members = async (count: number) => {
    const devices: Device[] = []
    while (devices.length < count) devices.push(await at.member())
    return devices
  }

  /** Devices that have the first revision of a profile, of which there is a second one that nobody gets yet. */
  async function settled(count: number) {
    const devices = await members(count)
    const profile = await at.profile({ ssid: 'first' })
    await at.put(await at.group(...devices), at.bring(profile))
    await at.untilIs(devices, profile, { state: 'installed', revision: 1 })
    const next = await at.replace(profile, 'second', '?rollout=true')
    expect(next).toMatchObject({ status: 200, revision: 2, released_revision: 1 })
    return { devices, profile }
  }

  const start = (profile: { id: string }, rings: unknown[], more: Record<string, unknown> = {}) =>
    world.api('POST', '/rollouts', { kind: 'profile', id: profile.id, rings, ...more })
  const act = async (id: string, what: string) => {
    const { status, body } = await world.api('POST', `/rollouts/${id}/${what}`)
    expect([what, status, body.detail]).toEqual([what, 200, undefined])
    return body
  }
  const told = async (id: string) => (await world.api('GET', `/rollouts/${id}`)).body
  const revisionsOf = async (devices: readonly Device[], profile: { id: string }) =>
    Promise.all(devices.map(async (device) => (await at.delivery(device, profile))?.revision))
  /** Which of the two revisions is on a device. */
  const ssidOn = (device: Device, { identifier }: { identifier: string }) => {
    const found = device.view().profiles.find((one) => one.identifier === identifier)
    return /first|second|third/.exec(JSON.stringify(found))?.[0]
  }
  const ssidsOn = (devices: readonly Device[], profile: { identifier: string }) =>
    devices.map((device) => ssidOn(device, profile))

  test('a stored revision reaches nobody; the rings of groups get it one after the other', async () => {
    const { devices, profile } = await settled(3)
    const [one, two, three] = devices as [Device, Device, Device]
    await at.pass(devices, 10_000, 3)
    expect(ssidsOn(devices, profile)).toEqual(['first', 'first', 'first'])
    const [first, second] = [await at.group(one), await at.group(one, two)]
    const started = await start(profile, [{ group_id: first }, { group_id: second }])
    expect(started).toMatchObject({
      status: 201,
      body: { state: 'running', ring: 0, revision: 2, halt_at_failure_percent: 10, halt_minimum: 3 },
    })
    const { id } = started.body
    await at.untilIs([one], profile, { state: 'installed', revision: 2 })
    await at.pass(devices, HOUR, 2)
    expect(await revisionsOf(devices, profile)).toEqual([2, 1, 1])
    expect((await told(id)).rings).toMatchObject([
      { group_id: first, devices: 1, installed: 1, failed: 0 },
      { group_id: second, devices: 0, installed: 0, failed: 0 },
    ])
    expect(await act(id, 'advance')).toMatchObject({ state: 'running', ring: 1 })
    // Nothing is over before the ring was looked at.
    expect((await told(id)).state).toBe('running')
    await at.untilIs([two], profile, { state: 'installed', revision: 2 })
    await at.until(devices, async () => (await told(id)).state === 'finished')
    await at.untilIs([three], profile, { state: 'installed', revision: 2 })
    expect(ssidsOn(devices, profile)).toEqual(['second', 'second', 'second'])
    const after = await told(id)
    expect(after.rings).toMatchObject([
      { devices: 1, installed: 1, failed: 0 },
      { devices: 1, installed: 1, failed: 0 },
    ])
    await at.replace(profile, 'third')
    await at.untilIs(devices, profile, { state: 'installed', revision: 3 })
    expect((await told(id)).rings).toEqual(after.rings)
    expect((await world.api('POST', `/rollouts/${id}/advance`)).body.code).toBe('conflict')
    expect((await world.api('GET', `/profiles/${profile.id}`)).body.released_revision).toBe(3)
  })

  test('that a revision is for everybody then is told of its profile; a device that never comes keeps no rollout open', async () => {
    const { devices, profile } = await settled(2)
    const [present, absent] = devices as [Device, Device]
    const { body: started } = await start(profile, [{ group_id: await at.group(...devices) }])
    await at.untilIs([present], profile, { state: 'installed', revision: 2 })
    await at.pass([present], HOUR, 3)
    const counted = { devices: 2, installed: 1, failed: 0 }
    expect(await told(started.id)).toMatchObject({ state: 'running', rings: [counted] })
    expect(await act(started.id, 'advance')).toMatchObject({ state: 'finished', rings: [counted] })
    await at.pass([present], MINUTE, 1)
    const { body } = await world.api('GET', '/events?type=profile.updated&limit=200')
    const released = body.items.filter(
      ({ data }: { data: { profile_id: string; changed: string[] } }) =>
        data.profile_id === profile.id && data.changed.includes('released_revision'),
    )
    expect(released).toMatchObject([{ data: { revision: 2, released: true } }])
    await at.untilIs([absent], profile, { state: 'installed', revision: 2 })
    expect(await told(started.id)).toMatchObject({ state: 'finished', rings: [counted] })
  })

  test('the group of a ring is not deleted while a rollout begins', async () => {
    const profile = await at.profile({ ssid: 'first' })
    await at.replace(profile, 'second', '?rollout=true')
    for (let time = 0; time < 10; time++) {
      const group_id = await at.group()
      const [started, deleted] = await Promise.all([
        start(profile, [{ group_id }]),
        world.api('DELETE', `/groups/${group_id}`),
      ])
      expect([started.status, deleted.status]).toSatisfy(
        ([one, other]) => (one === 201 && other === 409) || (one === 400 && other === 204),
      )
      if (started.status === 201) await act(started.body.id, 'roll-back')
    }
  })

  test('percents are cumulative, and the next ring comes when it is time', async () => {
    const { devices, profile } = await settled(6)
    const { body } = await start(profile, [{ percent: 40 }, { percent: 100 }], { advance_after_minutes: 30 })
    await at.pass(devices, 10_000, 5)
    const early = (await revisionsOf(devices, profile)).filter((revision) => revision === 2).length
    expect((await told(body.id)).rings[0]).toMatchObject({ percent: 40, devices: early, installed: early })
    expect(early).toBeLessThan(devices.length)
    await at.pass(devices, 10 * MINUTE, 2)
    expect(await told(body.id)).toMatchObject({ state: 'running', ring: 0 })
    await at.pass(devices, 10 * MINUTE, 1)
    await at.until(devices, async () => (await told(body.id)).state === 'finished')
    await at.untilIs(devices, profile, { state: 'installed', revision: 2 })
    const { rings } = await told(body.id)
    expect(rings).toMatchObject([{ devices: early }, { devices: devices.length - early, failed: 0 }])
  })

  test('it halts by itself when too much fails; what has it keeps it, nobody else gets it', async () => {
    const { devices, profile } = await settled(5)
    const [good, bad, worse, other] = devices as [Device, Device, Device, Device]
    for (const device of [bad, worse]) device.script('InstallProfile', 'Error')
    const ring = await at.group(good, bad, worse)
    const rings = [{ group_id: ring }, { percent: 100 }]
    const { body } = await start(profile, rings, { halt_at_failure_percent: 50, halt_minimum: 2 })
    await at.until(devices, async () => (await told(body.id)).state === 'halted')
    await at.untilIs([good], profile, { state: 'installed', revision: 2 })
    expect(await told(body.id)).toMatchObject({
      reason: 'failures',
      ring: 0,
      rings: [{ devices: 3, installed: 1, failed: 2 }, { devices: 0 }],
    })
    await at.join(ring, other)
    await at.pass(devices, HOUR, 4)
    expect(ssidsOn(devices, profile)).toEqual(['second', 'first', 'first', 'first', 'first'])
    expect((await told(body.id)).rings[0]).toMatchObject({ installed: 1, failed: 2 })
    // Somebody lets it go on: it does, until more fails.
    expect(await act(body.id, 'resume')).toMatchObject({ state: 'running', reason: null })
    await at.untilIs([good, bad, worse, other], profile, { state: 'installed', revision: 2 }, MINUTE)
    expect(await told(body.id)).toMatchObject({ state: 'running', rings: [{ installed: 4, failed: 0 }, {}] })
    await act(body.id, 'roll-back')
    await at.untilIs(devices, profile, { state: 'installed', revision: 1 })
    expect(ssidsOn(devices, profile)).toEqual(['first', 'first', 'first', 'first', 'first'])
    expect(await told(body.id)).toMatchObject({ state: 'rolled_back', rings: [{ installed: 4 }, {}] })
  })

  test('what was queued when it was halted does not go out, then or later; a new device gets the former one', async () => {
    const { devices, profile } = await settled(2)
    const groups = await world.api('GET', `/profiles/${profile.id}`)
    const { body } = await start(profile, [{ percent: 100 }])
    for (let round = 0; round < 5; round++) await world.pass(100)
    await act(body.id, 'halt')
    const newcomer = await at.member()
    await at.join(groups.body.group_ids[0], newcomer)
    await at.pass([...devices, newcomer], HOUR, 4)
    expect(ssidsOn([...devices, newcomer], profile)).toEqual(['first', 'first', 'first'])
    const foretold = await world.api('POST', '/predictions', { device_id: newcomer.facts.udid })
    expect(foretold.body.items).toMatchObject([{ id: profile.id, revision: 1 }])
    expect(await told(body.id)).toMatchObject({
      state: 'halted',
      reason: 'by_hand',
      rings: [{ installed: 0 }],
    })
    await act(body.id, 'resume')
    const [failing] = devices as [Device]
    failing.script('InstallProfile', 'Error')
    await at.untilIs([failing], profile, { state: 'failed', revision: 2 })
    await act(body.id, 'roll-back')
    await at.untilIs([...devices, newcomer], profile, { state: 'installed', revision: 1, reason: null })
    expect(ssidsOn([...devices, newcomer], profile)).toEqual(['first', 'first', 'first'])
  })

  test('a rollout is not overtaken, and what it names is in use', async () => {
    const { devices, profile } = await settled(1)
    const ring = await at.group()
    const { body } = await start(profile, [{ group_id: ring }, { percent: 100 }])
    expect(await at.replace(profile, 'third')).toMatchObject({ status: 409, code: 'rollout_running' })
    // What everybody is to get and has is no change; what is only stored overtakes nobody.
    expect(await at.replace(profile, 'second')).toMatchObject({ status: 409, code: 'rollout_running' })
    expect(await at.replace(profile, 'third', '?rollout=true')).toMatchObject({ status: 200, revision: 3 })
    expect((await start(profile, [{ percent: 10 }])).body.code).toBe('rollout_running')
    const renamed = await world.api('PATCH', `/profiles/${profile.id}`, { name: 'another name' })
    expect([renamed.status, renamed.body.group_ids.length]).toEqual([200, 1])
    const refused = await world.api('DELETE', `/groups/${ring}`)
    expect(refused).toMatchObject({
      status: 409,
      body: {
        code: 'in_use',
        used_by: [{ kind: 'rollout', id: body.id, name: 'rollout of another name' }],
      },
    })
    const [delivering] = renamed.body.group_ids
    const named = await world.api('DELETE', `/profiles/${profile.id}`)
    expect(named).toMatchObject({
      status: 409,
      body: { code: 'in_use', used_by: [{ kind: 'group', id: delivering }] },
    })
    await at.put(delivering)
    expect((await world.api('DELETE', `/profiles/${profile.id}`)).body.code).toBe('rollout_running')
    await act(body.id, 'roll-back')
    expect((await world.api('DELETE', `/groups/${ring}`)).status).toBe(204)
    expect((await world.api('DELETE', `/profiles/${profile.id}`)).status).toBe(204)
    // What was deleted before a device came is removed from it all the same.
    await at.until(devices, () => ssidsOn(devices, profile)[0] === undefined)
    await at.until(devices, async () => (await at.deliveries(devices[0]!)).length === 0)
    expect((await world.api('GET', `/rollouts/${body.id}`)).body.state).toBe('rolled_back')
  })

  test('apps are in use and rolled out likewise, and name secrets', async () => {
    const group = await at.group()
    const made = await world.api('POST', '/apps', {
      ...{ kind: 'store', itunes_store_id: 77, name: 'App of a rollout', device_licence: true },
      configuration: { key: 'a {{secret.of-an-app|none}}' },
    })
    const { id, name } = made.body
    expect(made.body.group_ids).toEqual([])
    await world.api('PUT', '/secrets/of-an-app', { value: 'x' })
    await world.api('PUT', '/secrets/of-an', { value: 'x' })
    expect((await world.api('DELETE', '/secrets/of-an')).status).toBe(204)
    expect((await world.api('DELETE', '/secrets/of-an-app')).body).toMatchObject({
      code: 'in_use',
      used_by: [{ kind: 'app', id, name }],
    })
    await at.put(group, { kind: 'app', id })
    const { items } = (await world.api('GET', '/apps')).body
    expect(items.find((app: { id: string }) => app.id === id).group_ids).toEqual([group])
    const stored = await world.api('PATCH', `/apps/${id}?rollout=true`, {
      configuration: { key: 'plain' },
    })
    expect(stored.body).toMatchObject({ revision: 2, released_revision: 1, group_ids: [group] })
    const started = await world.api('POST', '/rollouts', { kind: 'app', id, rings: [{ percent: 100 }] })
    expect(started.status).toBe(201)
    const patch = await world.api('PATCH', `/apps/${id}`, { prevent_backup: true })
    expect([patch.status, patch.body.code]).toEqual([409, 'rollout_running'])
    expect((await world.api('PATCH', `/apps/${id}`, { name: 'renamed' })).status).toBe(200)
    expect((await world.api('DELETE', `/apps/${id}`)).body.code).toBe('in_use')
    await act(started.body.id, 'advance')
    expect((await world.api('GET', `/apps/${id}`)).body.released_revision).toBe(2)
    await at.put(group)
    expect((await world.api('DELETE', '/secrets/of-an-app')).status).toBe(204)
    expect((await world.api('DELETE', `/apps/${id}`)).status).toBe(204)
  })

  test('what is wrong with a rollout is told with a pointer', async () => {
    const profile = await at.profile()
    const pointers = async (of: { id: string }, rings: unknown, more: Record<string, unknown> = {}) => {
      const { status, body } = await start(of, rings as unknown[], more)
      return [status, ...(body.errors ?? []).map(({ pointer }: { pointer: string }) => pointer)]
    }
    const all = [{ percent: 100 }]
    expect(await pointers({ id: 'none' }, all)).toEqual([400, '/id'])
    expect(await pointers(profile, all)).toEqual([400, '/revision'])
    expect(await pointers(profile, all, { revision: 9 })).toEqual([400, '/revision'])
    await at.replace(profile, 'second', '?rollout=true')
    expect(await pointers(profile, [{ percent: 10 }, { group_id: 'none' }])).toEqual([
      400,
      '/rings/1/group_id',
    ])
    expect(await pointers(profile, [{ percent: 10 }, { percent: 10 }])).toEqual([400, '/rings/1/percent'])
    expect((await pointers(profile, [{ percent: 0 }]))[0]).toBe(400)
    expect((await pointers(profile, []))[0]).toBe(400)
    expect((await pointers(profile, [{}]))[0]).toBe(400)
    expect((await world.api('GET', `/rollouts?thing_id=${profile.id}`)).body.items).toEqual([])
    expect((await world.api('POST', '/rollouts/none/halt')).status).toBe(404)
  })
})
