/** The door of settings: what an administrator may change at any time, the same in every process within 2 s. */
export { settingsApi } from './api.ts'
export { openInstance, resealInstance } from './instance.ts'
export { createSettings, type SettingsDoor } from './settings.ts'
export type { Settings } from './schema.ts'
