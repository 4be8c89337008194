import type { LookupFunction } from 'node:net'
import { expect, onTestFinished, test } from 'vitest'
import { createSending } from '../../src/features/events/webhooks/sending.ts'
import { createAddressCheck, isPublicAddress } from '../../src/kernel/public-address.ts'
import { manualClock } from '../support/manual-clock.ts'
import { startReceiver } from '../support/webhook-receiver.ts'

test.each(
  '8.8.8.8 1.1.1.1 172.32.0.1 100.128.0.1 2606:4700::1111 2a00:1450::1 ::ffff:8.8.8.8 64:ff9b::808:808'.split(
    ' ',
  ),
)('%s is an address of the public internet', (address) => {
  expect(isPublicAddress(address)).toBe(true)
})

test.each(
  `0.0.0.0 10.1.2.3 100.64.0.1 127.0.0.1 169.254.169.254 172.16.0.1 192.168.1.1 192.0.2.1 198.18.0.1 224.0.0.1
  255.255.255.255 :: ::1 ::127.0.0.1 ::ffff:127.0.0.1 ::ffff:a00:1 64:ff9b::a00:1 64:ff9b:1::1 fe80::1 fe80::1%eth0 fec0::1
  fd00:ec2::254 ff02::1 2001:db8::1 2001::1 2002:7f00:1:: example.org`.split(/\s+/),
)('%s is not', (address) => {
  expect(isPublicAddress(address)).toBe(false)
})

/** A resolver whose answer is another one each time. */
function changing(...answers: string[]): LookupFunction {
  return (_name, options, callback) => {
    const address = answers.shift() ?? ''
    if (address === '') return callback(Object.assign(new Error('unknown'), { code: 'ENOTFOUND' }), [])
    if (options.all === true) callback(null, [{ address, family: 4 }])
    else callback(null, address, 4)
  }
}

test('a name is judged when it is written down and when it is called', async () => {
  const to = await startReceiver()
  onTestFinished(to.close)
  const url = to.url.replace('http://127.0.0.1', 'https://hooks.example.org')
  const addresses = createAddressCheck({
    allowPrivate: false,
    lookup: changing('8.8.8.8', '127.0.0.1', '10.0.0.1'),
  })
  await addresses.check(url)
  const sending = createSending({ clock: manualClock(), userAgent: 'test', addresses })
  onTestFinished(sending.close)
  expect(await sending.send({ url, id: '1', body: '{}', sign: () => ({}), secrets: [] })).toMatchObject({
    status: null,
    error: expect.stringContaining('hooks.example.org (127.0.0.1) is no address of the public internet'),
  })
  await expect(addresses.check(url)).rejects.toMatchObject({ code: 'upstream_refused' })
  // A name without an address may get one.
  await addresses.check(url)
})

test('what is connected to is what was judged', async () => {
  const to = await startReceiver()
  onTestFinished(to.close)
  const addresses = createAddressCheck({ allowPrivate: true, lookup: changing('127.0.0.1', '') })
  const sending = createSending({ clock: manualClock(), userAgent: 'test', addresses })
  onTestFinished(sending.close)
  const url = to.url.replace('127.0.0.1', 'localhost')
  expect(await sending.send({ url, id: '1', body: '{}', sign: () => ({}), secrets: [] })).toMatchObject({
    status: 204,
    error: null,
  })
})
