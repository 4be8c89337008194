export { createIpaReader, ipaWorkerScript, type IpaReader } from './ipa-reader.ts'
export type { IpaFacts } from './info-plist.ts'
