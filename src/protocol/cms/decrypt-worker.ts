import { serveTasks } from '../../kernel/threads.ts'
import { unwrapKey } from './unwrap-key.ts'
import type { UnwrapRequest } from './unwrap-key.ts'

serveTasks((request: UnwrapRequest) => ({ result: unwrapKey(request) }))
