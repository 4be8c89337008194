import type { DemoApi } from './api.ts'
import { PROFILE_TYPE, WIFI } from './profiles.ts'

const APP = { kind: 'store', name: 'Till', itunes_store_id: 361309726, device_licence: true }

/** A profile with a secret and an app, for which phones of a policy wait in Setup Assistant. */
export async function addContents(
  { api, told }: { api: DemoApi; told: (call: string, result: string) => void },
  policyId: string,
): Promise<void> {
  await api.call('PUT', '/secrets/wifi', { value: 'a password that nobody reads' })
  const profile = await api.call('POST', '/profiles?name=Wi-Fi', WIFI, PROFILE_TYPE)
  const app = await api.call('POST', '/apps', APP)
  told('PUT  /secrets, POST /profiles, /apps', 'a Wi-Fi network whose password is a secret, and an app')
  const { items } = await api.call('GET', `/groups?policy_id=${policyId}`)
  const contents = [
    { kind: 'profile', id: profile.id, critical: true },
    { kind: 'app', id: app.id, critical: true },
  ]
  await api.call('PUT', `/groups/${items[0].id}/contents`, { items: contents })
  told('PUT  /groups/{id}/contents', `${items[0].name}: both, before Setup Assistant ends`)
}
