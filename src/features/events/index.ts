export { eventSchema, eventsApi, renderEvent } from './api.ts'
export type { EventType, NewEvent, PublishedEvent } from './types.ts'
export { createEvents, type Events } from './events.ts'
