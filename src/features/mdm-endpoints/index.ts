import { createThreadPool } from '../../kernel/threads.ts'
import { createMessageReader, messageWorkerScript } from '../../protocol/mdm/index.ts'
import { createCheckin, type CheckinDeps } from './checkin.ts'
import { createConnect } from './connect.ts'
import { mdmRoutes } from './routes.ts'

/** Threads for messages too large to be read on the event loop. */
const READER_THREADS = 1

/** Makes the device endpoints: their routes, and what shutdown waits for. */
export function createMdmEndpoints(deps: CheckinDeps) {
  const threads = createThreadPool({ script: messageWorkerScript, size: READER_THREADS })
  const checkin = createCheckin(deps)
  const connect = createConnect({ ...deps, onRemoved: (id) => deps.enrollment.finishRemoval(id) })
  const reader = createMessageReader(threads)
  return {
    routes: mdmRoutes({ ...deps, reader, checkin, connect }),
    /** Answers when nothing is in flight any more, and ends the threads. */
    async close(): Promise<void> {
      await Promise.all([checkin.idle(), connect.idle()])
      await threads.close()
    },
  }
}
