export { runCli, type CliDeps } from './run.ts'
