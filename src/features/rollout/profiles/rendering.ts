import type { Queries } from '../../../db/index.ts'
import { AppError } from '../../../kernel/errors.ts'
import { appleUuidOf, sha256 } from '../../../kernel/ids.ts'
import { secretOf, type TemplateValues } from '../../../kernel/template.ts'
import {
  fillProfile,
  type ProfileReader,
  type ProfileTemplate,
} from '../../../protocol/mobileconfig/index.ts'
import type { Secrets } from '../secrets/secrets.ts'
import { createRecent } from './recent.ts'
import type { ProfileFacts } from './revisions.ts'
import type { RevisionKey } from './store.ts'

/** Characters of written profiles that are kept for the next devices, and bytes of signed ones without variables. */
const ROOM_FOR_TEMPLATES = 32 * 1024 * 1024
const ROOM_FOR_SIGNED = 64 * 1024 * 1024
/** A changed value of these is no reason to send a profile again. */
const NOT_TOLD_APART = new Set(['device.os_version'])
const RENDERING_BYTES = 15

/** A profile as a device gets it, or why it cannot be made; `detail` names variables and no value. */
export type Rendered =
  | { ok: true; body: Buffer; payloadUuid: string; rendering: string }
  | { ok: false; reason: 'variable_missing' | 'variable_invalid'; detail: string }

/**
 * What tells the renderings of one revision apart: a hash of the values of its variables, where `secret.NAME` has the version of the
 * secret in the place of its value. Empty for a revision without variables.
 */
export function renderingOf({ variables }: Pick<ProfileFacts, 'variables'>, values: TemplateValues): string {
  if (variables.length === 0) return ''
  const told = variables
    .filter((name) => !NOT_TOLD_APART.has(name))
    .map((name) => [name, values.get(name) || null])
  return sha256(JSON.stringify(told)).subarray(0, RENDERING_BYTES).toString('base64url')
}

/** The PayloadUUID at the top of what is sent: one for each profile, revision and rendering. */
export function payloadUuidOf({ id, revision, rendering }: RevisionKey & { rendering: string }): string {
  return appleUuidOf(`profile\0${id}\0${revision}\0${rendering}`)
}

/** Makes of revisions what devices get. */
export function createRendering(deps: {
  reader: Pick<ProfileReader, 'compile'>
  secrets: Pick<Secrets, 'open'>
  factsOf: (db: Queries, key: RevisionKey) => Promise<ProfileFacts | undefined>
  /** What was uploaded as this revision. */
  open: (db: Queries, id: string, revision: number) => Promise<Buffer | undefined>
  /** In the CMS signature of this server. */
  sign: (profile: Uint8Array) => Promise<Buffer>
}) {
  const { reader, secrets, factsOf, open, sign } = deps
  const templates = createRecent<ProfileTemplate>({ room: ROOM_FOR_TEMPLATES, sizeOf: sizeOfTemplate })
  const signed = createRecent<Buffer>({ room: ROOM_FOR_SIGNED, sizeOf: ({ length }) => length })

  async function templateOf(db: Queries, { id, revision }: RevisionKey): Promise<ProfileTemplate> {
    return templates.get(`${id}:${revision}`, async () =>
      reader.compile((await open(db, id, revision)) ?? missing()),
    )
  }

  /**
   * Fills in the values, sets the PayloadUUID, and signs. `values` by the names of variables; secrets are looked up here. Rejects
   * with `not_found` where there is no such revision, and with `overloaded` when the thread has too much to do.
   */
  async function render(
    db: Queries,
    { id, revision, values }: RevisionKey & { values: TemplateValues },
  ): Promise<Rendered> {
    const facts = (await factsOf(db, { id, revision })) ?? missing()
    const known = await secrets.open(
      db,
      facts.variables.flatMap((name) => secretOf(name) ?? []),
    )
    const rendering = renderingOf(
      facts,
      withSecrets(values, (name) => known.get(name)?.version),
    )
    const payloadUuid = payloadUuidOf({ id, revision, rendering })
    const fill = async () =>
      fillProfile(
        await templateOf(db, { id, revision }),
        payloadUuid,
        withSecrets(values, (name) => known.get(name)?.value),
      )
    if (facts.variables.length === 0) {
      const body = await signed.get(`${id}:${revision}`, async () => sign(bodyOf(await fill())))
      return { ok: true, body, payloadUuid, rendering }
    }
    const filled = await fill()
    if (!filled.ok) return { ok: false, reason: filled.reason, detail: detailOf(filled) }
    return { ok: true, body: await sign(filled.body), payloadUuid, rendering }
  }

  return render
}

function bodyOf(filled: ReturnType<typeof fillProfile>): Buffer {
  if (filled.ok) return filled.body
  throw new AppError('internal', 'A profile without variables asks for values.')
}

function withSecrets(values: TemplateValues, secret: (name: string) => string | undefined): TemplateValues {
  return {
    get(variable) {
      const name = secretOf(variable)
      return name === undefined ? values.get(variable) : secret(name)
    },
  }
}

function detailOf({ reason, names }: { reason: string; names: readonly string[] }): string {
  const list = names.map((name) => `{{${name}}}`).join(', ')
  return reason === 'variable_missing'
    ? `There is no value for ${list}, and no fallback.`
    : `The value of ${list} holds characters that no profile can carry, or all values together are longer than 1 MiB.`
}

function sizeOfTemplate({ pieces }: ProfileTemplate): number {
  return pieces.reduce((sum, piece) => sum + piece.length, 0)
}

function missing(): never {
  throw new AppError('not_found', 'There is no such revision of a profile.')
}
