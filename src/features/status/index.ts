export { statusApi } from './api.ts'
