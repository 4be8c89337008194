import { SEALED_FOR } from '../../../db/sealed-columns.ts'
import { addTime, type Clock } from '../../../kernel/clock.ts'
import type { SecretBox } from '../../../kernel/secret-box.ts'
import type { WebhookRow } from './store.ts'

const PREVIOUS_VALID_HOURS = 24

/** The secrets of webhooks, as they are kept. */
export type WebhookSecrets = ReturnType<typeof createWebhookSecrets>

/** Seals the secrets of webhooks, and opens those that sign now. */
export function createWebhookSecrets({ clock, secretBox }: { clock: Clock; secretBox: SecretBox }) {
  const seal = (id: string, secret: string) =>
    secretBox.seal(Buffer.from(secret), SEALED_FOR.webhookSecret(id))
  return {
    seal,
    /** The columns of a webhook that gets another secret: the one before is valid for so many hours more. */
    replaced(before: WebhookRow, secret: string, hours = PREVIOUS_VALID_HOURS) {
      const until = hours === 0 ? null : addTime(clock.now(), hours, 'hour')
      return {
        secret: seal(before.id, secret),
        previous_secret: until && before.secret,
        previous_valid_until: until,
      }
    },
    /** What signs now: the secret, and the one before it as long as that is valid. */
    open({ id, secret, previous_secret, previous_valid_until }: WebhookRow): string[] {
      const isValid = previous_valid_until !== null && previous_valid_until > clock.now()
      const sealed = [secret, ...(isValid && previous_secret !== null ? [previous_secret] : [])]
      return sealed.map((each) => secretBox.open(each, SEALED_FOR.webhookSecret(id)).toString())
    },
  }
}
