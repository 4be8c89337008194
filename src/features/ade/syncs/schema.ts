import { Type } from 'typebox'
import { dates, text, textOrNull, time, timeOrNull } from '../../../kernel/schema.ts'

/** A sync as the API tells it. */
export const runSchema = Type.Object(
  {
    id: text('The id of the sync.'),
    kind: Type.Enum(['full', 'incremental'], {
      description: 'full: everything; incremental: what has changed.',
    }),
    state: Type.Enum(['running', 'succeeded', 'failed', 'timed_out'], { description: 'How it stands.' }),
    trigger: Type.Enum(['operator', 'schedule', 'first_token'], { description: 'What started it.' }),
    started_at: time('When it began.'),
    ends_by: time('When it ends at the latest.'),
    finished_at: timeOrNull('When it ended.'),
    seen: Type.Integer({ description: 'Serial numbers that Apple has told.' }),
    added: Type.Integer({ description: 'Those that are new, or have come back.' }),
    changed: Type.Integer({ description: 'Those of which Apple tells something new.' }),
    removed: Type.Integer({ description: 'Those that are no longer assigned to this server.' }),
    left_out: Type.Integer({ description: 'Records that named no device and were passed over.' }),
    error: textOrNull('Why it failed, in plain words.'),
    error_code: textOrNull('Why it failed, as a stable code.'),
    ...dates,
  },
  { title: 'AdeSync', description: 'A sync: serial numbers fetched from Apple.' },
)
