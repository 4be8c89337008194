import { forVerb, type Verb } from '../verb.ts'

/** Runs the server. */
export const serve: Verb = {
  words: ['serve'],
  summary: 'Run the server (settings come from the environment)',
}

/** Brings the database up to date. */
export const migrate: Verb = { words: ['migrate'], summary: 'Bring the database up to date and end' }

/** Moves in what another server has. */
export const migrateFrom: Verb = {
  words: ['migrate-from', 'nanomdm'],
  summary: 'Move in the devices of a NanoMDM, so that none has to enrol again',
  options: {
    'database-url': forVerb('text', 'its PostgreSQL database (postgres://...)', { value: 'URL' }),
    folder: forVerb('text', 'its file store', { value: 'DIR' }),
    ca: forVerb('text_file', 'CAs in PEM that gave its devices their certificates: they are trusted', {
      value: 'FILE',
    }),
    only: forVerb('text_file', 'moves these devices alone: ids or serial numbers, one a line', {
      value: 'FILE',
    }),
    'dry-run': forVerb('flag', 'changes nothing, and says what would be done'),
  },
}

/** Shows how the server is; done by the program itself. */
export const status: Verb = { words: ['status'], summary: 'Show how the server is, and what needs a person' }

const serverName = { name: 'name', summary: 'what you call the server, such as prod', to: 'verb' } as const

/** Keeps a token for later command lines. */
export const login: Verb = {
  words: ['login'],
  summary: 'Keep the address and token of a server under a name, or choose one that is kept',
  arguments: [serverName],
}

/** Forgets it. */
export const logout: Verb = {
  words: ['logout'],
  summary: 'Forget the token of a server',
  arguments: [serverName],
}

/** Writes a script for a shell. */
export const completion: Verb = {
  words: ['completion'],
  summary: 'Print the script that completes command lines in bash, zsh or fish',
  arguments: [{ name: 'shell', summary: 'bash, zsh or fish', to: 'verb' }],
}

/** Runs fake devices. */
export const simulate: Verb = {
  words: ['simulate'],
  summary: 'Run a fake Apple and fake devices against a running server',
  options: {
    devices: forVerb('integer', 'how many devices (default 25)', { value: 'N' }),
    link: forVerb('text', 'enrol through this link instead of one made over the API; repeat it for several', {
      value: 'URL',
      multiple: true,
    }),
    folder: forVerb('text', 'keeps the fake’s certificates (default ./firstboot-simulator)', {
      value: 'DIR',
    }),
    'apns-host': forVerb('text', 'where the fake APNs listens (127.0.0.1)', { value: 'HOST' }),
    'apns-port': forVerb('integer', 'its port (default 2197)', { value: 'PORT' }),
    'ca-file': forVerb('text', 'CA of the server, if devices need to know it', { value: 'FILE' }),
    ade: forVerb(
      'flag',
      'run a fake of Automated Device Enrollment too, with its portal and phones to power on',
    ),
    'ade-port': forVerb('integer', 'its port (default 2198)', { value: 'PORT' }),
    setup: forVerb('flag', 'store the fake’s push certificate if the server has none'),
    'apns-only': forVerb('flag', 'run the fake APNs without devices'),
    once: forVerb('flag', 'end when all are enrolled and nothing is left to do'),
    seed: forVerb('text', 'the same seed gives the same devices and moods'),
    concurrency: forVerb('integer', 'devices at work at a time (default 16)', { value: 'N' }),
    apps: forVerb('integer', 'apps on each device (default 5)', { value: 'N' }),
    'not-now': forVerb('number', 'how likely a device answers NotNow (0 to 1)', { value: 'P' }),
    fail: forVerb('number', 'how likely a command fails (0 to 1)', { value: 'P' }),
    asleep: forVerb('number', 'how likely a push finds its device asleep (0 to 1)', { value: 'P' }),
  },
}
