import { DIRECTORY_USERS } from './people.ts'

/** Sign-in sources, by what they are called in the demo. */
export interface SourceIds {
  directory: string
  provider: string
}

/** The enrollment policies of the demo, as `POST /enrollment-policies` takes them. */
export const POLICIES = {
  shared: {
    document: () => ({ name: 'Shared iPads and phones', ade: { enabled: true, locked: true } }),
    summary: 'nobody signs in; supervised, locked',
  },
  kiosk: {
    document: () => ({ name: 'Kiosk', ade: { enabled: true, await_device_configured: true } }),
    summary: 'nobody signs in; held in Setup Assistant until it has what it needs',
  },
  sales: {
    document: () => ({
      name: 'Sales iPhones',
      user_affinity: 'prompt',
      ade: { enabled: true, department: 'Sales IT', setup_assistant: { siri: false, zoom: false } },
    }),
    summary: "Setup Assistant's own form, accounts of this server",
  },
  office: {
    document: ({ directory }: SourceIds) => ({
      name: 'Head office',
      user_affinity: 'prompt',
      sign_in_source_id: directory,
      ade: { enabled: true },
    }),
    summary: `Setup Assistant's own form, a directory with ${DIRECTORY_USERS.length} people (WS-Trust)`,
  },
  field: {
    document: () => ({
      name: 'Field service',
      user_affinity: 'prompt',
      ade: { enabled: true, sign_in: 'web' },
    }),
    summary: 'a web page, accounts of this server',
  },
  consultants: {
    document: ({ provider }: SourceIds) => ({
      name: 'Consultants',
      user_affinity: 'prompt',
      sign_in_source_id: provider,
      ade: { enabled: true, sign_in: 'web' },
    }),
    summary: 'the web page of an OpenID provider, with a second factor',
  },
  current: {
    document: () => ({ name: 'Up to date', ade: { enabled: true, minimum_os_version: '18.5' } }),
    summary: 'nobody signs in; iOS 18.5 or newer',
  },
} as const

/** What the demo calls a policy; not the name that administrators read. */
export type PolicyName = keyof typeof POLICIES
