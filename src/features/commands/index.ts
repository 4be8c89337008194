export { commandsApi } from './api.ts'
export { createCommands, type Commands } from './commands.ts'
