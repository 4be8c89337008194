export { runCli } from './run.ts'
export type { CliDeps } from './run.ts'
export type { SimulateDeps, SimulateOptions } from './simulate.ts'
