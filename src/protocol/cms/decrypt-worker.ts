import { serveTasks } from '../../kernel/threads.ts'
import { apart, unwrapKey, type UnwrapRequest } from './unwrap-key.ts'

serveTasks((request: UnwrapRequest) => ({ result: apart(unwrapKey(request)) }))
