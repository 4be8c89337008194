import type { Verb } from '../verb.ts'

/** Runs the server. */
export const serve: Verb = {
  words: ['serve'],
  summary: 'Run the server (settings come from the environment)',
}

/** Brings the database up to date. */
export const migrate: Verb = { words: ['migrate'], summary: 'Bring the database up to date and end' }

/** Shows how the server is; done by the program itself. */
export const status: Verb = { words: ['status'], summary: 'Show how the server is, and what needs a person' }

/** Runs fake devices. */
export const simulate: Verb = {
  words: ['simulate'],
  summary: 'Run a fake Apple and fake devices against a running server',
  options: {
    devices: { kind: 'integer', value: 'N', summary: 'how many devices (default 25)', to: 'verb' },
    link: {
      ...{ kind: 'text', value: 'URL', to: 'verb', multiple: true },
      summary: 'enrol through this link instead of one made over the API; repeat it for several',
    },
    folder: {
      ...{ kind: 'text', value: 'DIR', to: 'verb' },
      summary: 'keeps the fake’s certificates (default ./firstboot-simulator)',
    },
    'apns-host': {
      kind: 'text',
      value: 'HOST',
      summary: 'where the fake APNs listens (127.0.0.1)',
      to: 'verb',
    },
    'apns-port': { kind: 'integer', value: 'PORT', summary: 'its port (default 2197)', to: 'verb' },
    'ca-file': {
      kind: 'text',
      value: 'FILE',
      summary: 'CA of the server, if devices need to know it',
      to: 'verb',
    },
    ade: {
      ...{ kind: 'flag', to: 'verb' },
      summary: 'run a fake of Automated Device Enrollment too, with its portal and phones to power on',
    },
    'ade-port': { kind: 'integer', value: 'PORT', summary: 'its port (default 2198)', to: 'verb' },
    setup: { kind: 'flag', summary: 'store the fake’s push certificate if the server has none', to: 'verb' },
    'apns-only': { kind: 'flag', summary: 'run the fake APNs without devices', to: 'verb' },
    once: { kind: 'flag', summary: 'end when all are enrolled and nothing is left to do', to: 'verb' },
    seed: { kind: 'text', summary: 'the same seed gives the same devices and moods', to: 'verb' },
    concurrency: {
      kind: 'integer',
      value: 'N',
      summary: 'devices at work at a time (default 16)',
      to: 'verb',
    },
    apps: { kind: 'integer', value: 'N', summary: 'apps on each device (default 5)', to: 'verb' },
    'not-now': {
      kind: 'number',
      value: 'P',
      summary: 'how likely a device answers NotNow (0 to 1)',
      to: 'verb',
    },
    fail: { kind: 'number', value: 'P', summary: 'how likely a command fails (0 to 1)', to: 'verb' },
    asleep: {
      kind: 'number',
      value: 'P',
      summary: 'how likely a push finds its device asleep (0 to 1)',
      to: 'verb',
    },
  },
}
