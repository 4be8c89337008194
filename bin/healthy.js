#!/usr/bin/env node
// Asks the server on this machine, with the settings of this environment, whether it is alive: exit code 0 or 1.
import { request as requestPlain } from 'node:http'
import { request as requestTls } from 'node:https'
import { loadConfig } from '../dist/src/config/config.js'
import { readEnv } from '../dist/src/config/env.js'

const TIMEOUT_MS = 4000
const ANY_ADDRESS = { '0.0.0.0': '127.0.0.1', '::': '::1' }

const { listener, tls } = loadConfig(readEnv())
const request = tls === null ? requestPlain : requestTls
request({
  host: ANY_ADDRESS[listener.host] ?? listener.host,
  port: listener.port,
  path: '/healthz',
  timeout: TIMEOUT_MS,
  // The certificate is for the name that devices use, not for this address.
  rejectUnauthorized: false,
})
  .on('response', (response) => process.exit(response.statusCode === 200 ? 0 : 1))
  .on('timeout', () => process.exit(1))
  .on('error', () => process.exit(1))
  .end()
