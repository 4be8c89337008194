import { serveTasks } from '../../kernel/threads.ts'
import { apart, unwrapKey } from './unwrap-key.ts'
import type { UnwrapRequest } from './unwrap-key.ts'

serveTasks((request: UnwrapRequest) => ({ result: apart(unwrapKey(request)) }))
