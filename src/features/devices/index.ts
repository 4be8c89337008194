export { devicesApi } from './api.ts'
export type { DeviceRow, Enrollment, PushRecord, PushTarget } from './store.ts'
export { createDevices, type Devices } from './devices.ts'
