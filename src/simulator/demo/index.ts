export { createDemoClock } from './clock.ts'
export { runDemo } from './demo.ts'
export type { DemoServer, LogLine, StartServer } from './server.ts'
