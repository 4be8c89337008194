export { runCli } from './run.ts'
export type { CliDeps } from './run.ts'
