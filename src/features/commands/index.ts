export { commandsApi } from './api.ts'
export { createCommands, type Commands } from './commands.ts'
export { deviceCommandsApi } from './device-api.ts'
