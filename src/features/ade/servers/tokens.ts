import { afterCommit, type Tx } from '../../../db/index.ts'
import { SEALED_FOR } from '../../../db/sealed-columns.ts'
import type { Act } from '../../../kernel/act.ts'
import { AppError } from '../../../kernel/errors.ts'
import { openServerToken, type ServerToken } from '../../../protocol/ade/index.ts'
import type { AdeDeps } from '../deps.ts'
import { keysOf } from './keys.ts'
import * as store from './store.ts'

/** An upload of Apple's server token file. */
interface TokenUpload {
  file: Uint8Array
  appleId?: string | undefined
  /** Take it though it is of another of Apple's servers, or made with another Apple ID. */
  force: boolean
}

/** What others do when a token was taken, in its transaction. */
interface TokenHooks {
  /** It is of another of Apple's servers than the one before: nothing that was known of Apple's side holds. */
  onOtherServer: (trx: Tx, serverId: string) => Promise<void>
  /** There was none before, or it was another server's. */
  onFirst: (trx: Tx, server: store.ServerRow, act: Act) => Promise<void>
  /** After the commit. */
  onStored: () => void
}

/** Takes server tokens. */
export function createTokens(deps: Pick<AdeDeps, 'db' | 'clock' | 'events' | 'secretBox'> & TokenHooks) {
  const { db, clock, events, secretBox } = deps

  async function open(server: store.ServerRow, upload: TokenUpload) {
    const keys = keysOf(server, secretBox)
    const { keyIndex, ...token } = await openServerToken(upload.file, keys)
    if (token.expiresAt <= clock.now()) {
      const text = `The server token has expired on ${token.expiresAt.toISOString()}: get a new one from Apple.`
      throw new AppError('token_expired', text)
    }
    return { token, certificate: keys[keyIndex]!.certificate.der }
  }

  /** Stores a token that was opened with the key of this certificate. */
  async function keep(
    trx: Tx,
    before: store.ServerRow,
    { token, certificate }: { token: ServerToken; certificate: Buffer },
    upload: TokenUpload,
  ): Promise<store.ServerRow> {
    const isStaged = before.staged_certificate?.equals(certificate) === true
    if (!isStaged && !before.certificate.equals(certificate)) {
      throw new AppError('conflict', 'The encryption key was exchanged in this very moment; try it again.')
    }
    const { expiresAt, ...credentials } = token
    const sealed = secretBox.seal(Buffer.from(JSON.stringify(credentials)), SEALED_FOR.adeToken(before.id))
    const wasStopped = before.stopped_reason !== null
    return store.changeServer(
      trx,
      before.id,
      {
        token: sealed,
        consumer_key: token.consumerKey,
        apple_id: upload.appleId ?? before.apple_id,
        token_expires_at: expiresAt,
        token_stored_at: clock.now(),
        token_warned_days: null,
        stopped_reason: null,
        paused_until: null,
        failed_calls: 0,
        calls_retry_at: null,
        account_read_at: null,
        ...(wasStopped && { next_scheduled_sync_at: clock.now() }),
        ...(isStaged && {
          certificate,
          private_key: before.staged_private_key!,
          staged_certificate: null,
          staged_private_key: null,
        }),
      },
      clock.now(),
    )
  }

  return {
    /**
     * Opens, checks and stores a token. Refuses as `openServerToken`, and `token_expired`, `token_of_another_server`,
     * `token_of_another_apple_id`. The first one starts a sync.
     */
    async store(id: string, upload: TokenUpload, act: Act): Promise<store.ServerRow> {
      const server = await store.findServer(db.kysely, id)
      if (server === undefined) throw noServer()
      const opened = await open(server, upload)
      return db.transaction(async (trx) => {
        const before = await store.lockServer(trx, id)
        if (before === undefined) throw noServer()
        act.checkVersion(before.version)
        const isOther = before.consumer_key !== null && before.consumer_key !== opened.token.consumerKey
        if (!upload.force) refuseOthers(before, upload, isOther)
        const after = await keep(trx, before, opened, upload)
        await events.emit(trx, {
          type: 'ade_server.token_stored',
          act,
          data: {
            ade_server_id: id,
            name: after.name,
            apple_id: after.apple_id,
            expires_at: after.token_expires_at?.toISOString() ?? null,
            first: before.token === null,
            another_server: isOther,
          },
        })
        if (isOther) await deps.onOtherServer(trx, id)
        if (isOther || before.token === null) await deps.onFirst(trx, after, act)
        afterCommit(trx, deps.onStored)
        return (await store.findServer(trx, id)) ?? after
      })
    },
  }
}

/** The refusal of an id that is no server's. */
export function noServer(): AppError {
  return new AppError('not_found', 'There is no ADE server with this id.')
}

function refuseOthers(before: store.ServerRow, { appleId }: TokenUpload, isOther: boolean): void {
  if (isOther) {
    throw new AppError(
      'token_of_another_server',
      "The token is of another of Apple's servers than the one before: the devices of that one would be removed here. Renew the token of the same server in Apple's portal, or force it.",
    )
  }
  const known = before.apple_id
  if (known !== null && appleId !== undefined && known.toLowerCase() !== appleId.toLowerCase()) {
    throw new AppError(
      'token_of_another_apple_id',
      `The token before was made with the Apple ID ${known}, this one with ${appleId}. Use the same one, or force it.`,
    )
  }
}
