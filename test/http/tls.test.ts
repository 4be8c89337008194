import { X509Certificate } from 'node:crypto'
import type { FastifyPluginAsync } from 'fastify'
import { copyFileSync, writeFileSync } from 'node:fs'
import { request } from 'node:https'
import { join } from 'node:path'
import { connect, type TLSSocket } from 'node:tls'
import { describe, expect, onTestFinished, test } from 'vitest'
import { selfSigned } from '../support/certificates.ts'
import { httpWorld } from '../support/http-world.ts'
import { temporaryFolder } from '../support/temporary-folder.ts'

const first = selfSigned('first.example', 'other')
const second = selfSigned('second.example', 'ec')
const phone = selfSigned('phone', 'device')
const proxy = selfSigned('proxy', 'ca')
const phoneDer = new X509Certificate(phone.certPem).raw
const proxyDer = new X509Certificate(proxy.certPem).raw

const device: FastifyPluginAsync = async (app) => {
  app.put('/mdm', async ({ clientCertificate }) => clientCertificate?.toString('base64') ?? 'none')
}

function tlsFiles(pair = first) {
  const folder = temporaryFolder()
  onTestFinished(() => folder.remove())
  const files = { certFile: join(folder.path, 'cert.pem'), keyFile: join(folder.path, 'key.pem') }
  writeFileSync(files.certFile, pair.certPem)
  writeFileSync(files.keyFile, pair.keyPem)
  return files
}

type Client = { certPem: string; keyPem: string } | undefined

function put(address: string, client?: Client, headers: Record<string, string> = {}): Promise<string> {
  return new Promise((resolve, reject) => {
    const options = {
      method: 'PUT',
      headers,
      agent: false as const,
      rejectUnauthorized: false,
      ...(client && { cert: client.certPem, key: client.keyPem }),
    }
    request(`${address}/mdm`, options, (response) => {
      let body = ''
      response.on('data', (chunk: Buffer) => (body += chunk.toString()))
      response.on('end', () => resolve(body))
    })
      .on('error', reject)
      .end()
  })
}

/** The common name of the certificate that a listener shows. */
function shownBy(address: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket: TLSSocket = connect(
      { port: Number(new URL(address).port), host: '127.0.0.1', rejectUnauthorized: false },
      () => {
        resolve(socket.getPeerX509Certificate()?.subject ?? '')
        socket.destroy()
      },
    )
    socket.on('error', reject)
  })
}

describe('client certificates in TLS', () => {
  test('are asked for, not needed, and given to device routes', async () => {
    const { http } = await httpWorld({ scopes: { device }, config: { tls: tlsFiles() } })
    const { main } = await http.listen()
    expect(main).toMatch(/^https:/)
    expect(await put(main)).toBe('none')
    expect(await put(main, phone)).toBe(phoneDer.toString('base64'))
  })

  test('are not asked for on the operators’ own listener', async () => {
    const config = { tls: tlsFiles(), operatorListener: { host: '127.0.0.1', port: 0 } }
    const { http } = await httpWorld({ config })
    const { operator } = await http.listen()
    const seen = new Promise<X509Certificate | undefined>((resolve) =>
      http.operator.server.once('secureConnection', (socket: TLSSocket) =>
        resolve(socket.getPeerX509Certificate()),
      ),
    )
    await put(operator, phone)
    expect(await seen).toBeUndefined()
  })
})

describe('the header of a proxy', () => {
  const base64 = phoneDer.toString('base64')
  const rfc9440 = `:${base64}:`
  const config = (trustedProxies: string[]) => ({ trustedProxies, clientCertHeader: 'client-cert' })
  const ask = async (trustedProxies: string[], value: string | undefined) => {
    const { http, lines, clock } = await httpWorld({ scopes: { device }, config: config(trustedProxies) })
    const inject = () =>
      http.main.inject({
        method: 'PUT',
        url: '/mdm',
        headers: value === undefined ? {} : { 'client-cert': value },
      })
    return { body: (await inject()).body, lines, clock, inject }
  }

  test.each([
    ['as in RFC 9440', rfc9440],
    ['as escaped PEM', encodeURIComponent(phone.certPem)],
    ['as PEM with its line ends turned into spaces', phone.certPem.trim().replaceAll('\n', ' ')],
    ['as base64 of DER (HAProxy)', base64],
    ['as PEM without its first and last lines (Traefik)', base64],
    ['as the same, escaped', encodeURIComponent(base64)],
    [
      'as escaped PEM with plain + / =',
      encodeURIComponent(phone.certPem).replaceAll('%2B', '+').replaceAll('%2F', '/'),
    ],
    ['as Cert of Envoy', `By=a;Hash=b;Cert="${encodeURIComponent(phone.certPem)}";Subject="CN=\\"x;,Cert=y"`],
    ['as Cert of the nearest Envoy', `By=a;URI=b,By=c;Cert="${encodeURIComponent(phone.certPem)}"`],
  ])('counts from a trusted address %s', async (_, value) => {
    expect((await ask(['127.0.0.1'], value)).body).toBe(phoneDer.toString('base64'))
  })

  test.each([
    ['absent', undefined],
    ['empty', ''],
    ['no certificate', ':aGVsbG8=:'],
    ['two of them', `${rfc9440}, ${rfc9440}`],
    ['two in base64 (Traefik)', `${base64},${base64}`],
    ['two in one base64', Buffer.concat([phoneDer, proxyDer]).toString('base64')],
    ['two escaped', encodeURIComponent(`${base64},${base64}`)],
    ['two PEM', encodeURIComponent(phone.certPem + proxy.certPem)],
    [
      'two PEM, one after the other',
      `${encodeURIComponent(phone.certPem)}, ${encodeURIComponent(proxy.certPem)}`,
    ],
    [
      'two of Envoy',
      `Cert="${encodeURIComponent(phone.certPem)}",Cert="${encodeURIComponent(proxy.certPem)}"`,
    ],
    ['one of Envoy behind a forged one', `Cert="${encodeURIComponent(phone.certPem)}",Hash=x`],
    ['a forged one in the subject', `Hash=x;Subject="CN=;Cert=${encodeURIComponent(phone.certPem)}"`],
    ['60,000 blanks', `:${' '.repeat(60_000)}x`],
    ['60,000 beginnings', '-----BEGIN CERTIFICATE-----'.repeat(1_000)],
    ['a broken escape', '-----BEGIN%zz'],
    ['a PEM with something else', encodeURIComponent(phone.keyPem)],
  ])('gives none when it is %s', async (_, value) => {
    expect((await ask(['127.0.0.1'], value)).body).toBe('none')
  })

  test('is ignored from any other address, and told of once a minute', async () => {
    const { body, lines, clock, inject } = await ask(['10.0.0.0/8', '::2'], rfc9440)
    expect(body).toBe('none')
    const warnings = () => lines.filter(({ event }) => event === 'http.client_certificate_header_ignored')
    await inject()
    expect(warnings()).toMatchObject([{ level: 'warn', address: '127.0.0.1' }])
    clock.advance(60_000)
    await inject()
    expect(warnings()).toHaveLength(2)
  })

  test('is the only source on a connection of the proxy, whose own certificate is not the device’s', async () => {
    const { http } = await httpWorld({
      scopes: { device },
      config: { ...config(['127.0.0.1']), tls: tlsFiles() },
    })
    const { main } = await http.listen()
    expect(await put(main, proxy)).toBe('none')
    expect(await put(main, proxy, { 'client-cert': rfc9440 })).toBe(phoneDer.toString('base64'))
  })

  test('does not replace the certificate of a device that connects itself', async () => {
    const { http } = await httpWorld({
      scopes: { device },
      config: { ...config(['10.0.0.1']), tls: tlsFiles() },
    })
    const { main } = await http.listen()
    const other = `:${new X509Certificate(proxy.certPem).raw.toString('base64')}:`
    expect(await put(main, phone, { 'client-cert': other })).toBe(phoneDer.toString('base64'))
  })
})

describe('a new certificate', () => {
  test('is taken when its files change, and on demand', async () => {
    const files = tlsFiles()
    const { http, lines } = await httpWorld({ config: { tls: files }, tlsPollIntervalMs: 20 })
    const { main } = await http.listen()
    expect(await shownBy(main)).toBe('CN=first.example')
    writeFileSync(files.certFile, second.certPem)
    writeFileSync(files.keyFile, second.keyPem)
    await expect.poll(() => shownBy(main)).toBe('CN=second.example')
    copyFileSync(files.certFile, `${files.certFile}.old`)
    writeFileSync(files.certFile, 'nonsense')
    http.reloadTls()
    expect(lines).toContainEqual(expect.objectContaining({ level: 'error', event: 'tls.reload_failed' }))
    expect(await shownBy(main)).toBe('CN=second.example')
  })

  test('keeps asking clients for theirs', async () => {
    const files = tlsFiles()
    const { http } = await httpWorld({ scopes: { device }, config: { tls: files } })
    const { main } = await http.listen()
    writeFileSync(files.certFile, second.certPem)
    writeFileSync(files.keyFile, second.keyPem)
    http.reloadTls()
    expect(await shownBy(main)).toBe('CN=second.example')
    expect(await put(main, phone)).toBe(phoneDer.toString('base64'))
  })
})
