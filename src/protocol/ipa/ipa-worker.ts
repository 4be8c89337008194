import { serveTasks } from '../../kernel/threads.ts'
import { buildManifest, type ManifestFacts } from './manifest.ts'
import { readIpa } from './read-ipa.ts'

/** What the worker is asked. */
export type IpaTask =
  { kind: 'read'; path: string; bytes: number } | { kind: 'manifest'; facts: ManifestFacts }

serveTasks(async (task: IpaTask) => ({
  result: task.kind === 'read' ? await readIpa(task.path, task.bytes) : buildManifest(task.facts),
}))
