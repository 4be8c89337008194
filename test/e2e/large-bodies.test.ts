import { afterAll, beforeAll, expect, test } from 'vitest'
import { signData } from '../../src/protocol/cms/index.ts'
import { writePlist } from '../../src/protocol/plist/index.ts'
import { type Device, createRandom, inventDevice } from '../../src/simulator/index.ts'
import { type TestApp, putMessage, startTestApp } from '../support/app.ts'
import { describeEachEngine } from '../support/database.ts'
import { identityOf } from '../support/half-enrolled.ts'
import { testKey } from '../support/keys.ts'
import { momentary } from '../support/scep-client.ts'

/** Up to 64 KB, read here, and read on a thread. */
const SIZES = [1_000, 100_000, 400_000]

describeEachEngine('signatures and large bodies', (database) => {
  let world: TestApp
  let device: Device
  beforeAll(async () => {
    world = await startTestApp({ db: database() })
    device = await world.enrolled()
    await world.introduced(device)
  })
  afterAll(() => world.close())

  const result = (size: number) =>
    Buffer.from(
      writePlist({
        UDID: device.facts.udid,
        Status: 'Acknowledged',
        CommandUUID: 'unknown',
        Padding: Buffer.alloc((size * 3) / 4, 1),
      }),
    )
  const put = async (body: Buffer, options: Parameters<typeof putMessage>[2] = {}) =>
    (await putMessage(`${world.url}/mdm`, body, options)).status
  const signed = async (content: Buffer, form: Partial<Parameters<typeof signData>[0]>) => {
    const message = await signData({ content, detached: true, signer: identityOf(device), ...form })
    return { 'mdm-signature': message.toString('base64') }
  }

  test.each([
    ['attributes', {}],
    ['attributes, by SHA-1', { hash: 'sha1' }],
    ['attributes, by SHA-384', { hash: 'sha384' }],
    ['the body itself, by SHA-1, as Macs do', { attributes: 'none', hash: 'sha1' }],
    ['the body itself, by SHA-512', { attributes: 'none', hash: 'sha512' }],
  ] as const)('signed over %s: any size is taken, and no other body', async (_, form) => {
    for (const size of SIZES) {
      const body = result(size)
      expect([size, await put(body, { headers: await signed(body, form) })]).toEqual([size, 200])
      const other = await signed(result(size + 4), form)
      expect([size, await put(body, { headers: other })]).toEqual([size, 400])
    }
    expect(world.logReasons()).toContain('bad_signature')
  })

  test('of a stranger a small body gets its refusal, a large one a 413', async () => {
    const stranger = await momentary(testKey('other'))
    const [small = 0, ...large] = SIZES
    expect(await put(result(small))).toBe(400)
    expect(await put(result(small), { signer: stranger })).toBe(403)
    for (const size of large) {
      for (const signer of [undefined, stranger]) expect(await put(result(size), { signer })).toBe(413)
    }
    expect((await device.poll()).end).toBe('idle')
  })

  test('who is none of ours is told so before the body is looked at', async () => {
    const stranger = await momentary(testKey('other'))
    for (const body of [Buffer.from('nonsense'), Buffer.alloc(0), Buffer.from('<plist><dict>')]) {
      expect(await put(body)).toBe(400)
      expect(await put(body, { signer: stranger })).toBe(403)
    }
    expect(world.logReasons()).not.toContain('plist_invalid')
  })

  test('a simulated Mac signs as Macs do', async () => {
    const facts = inventDevice(createRandom('mac'), { platform: 'macos', productName: 'Mac15,3' })
    const mac = await world.enrolled({ facts })
    expect((await mac.poll()).end).toBe('idle')
    expect(mac.violations()).toEqual([])
  })
})
