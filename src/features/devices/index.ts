export { devicesApi } from './api.ts'
export type { Enrollment, PushRecord, PushTarget } from './store.ts'
export { createDevices, type Devices } from './devices.ts'
