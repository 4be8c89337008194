export { nanomdmApi } from './api.ts'
