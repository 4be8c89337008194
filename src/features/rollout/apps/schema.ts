import { Type } from 'typebox'
import { LINE_PATTERN, NAME_PATTERN } from '../../../kernel/names.ts'
import { dates, orNull, text, textOrNull, time } from '../../../kernel/schema.ts'

const MAX_NAME = 255
const MAX_URL = 2048
const MAX_IDENTIFIER = 255
/** The largest number that JSON carries exactly. */
const MAX_ID = Number.MAX_SAFE_INTEGER

export const kind = Type.Enum(['store', 'enterprise'], {
  description: 'store: from the App Store; enterprise: by a manifest of its own, or a package hosted here.',
})

const name = Type.String({
  minLength: 1,
  maxLength: MAX_NAME,
  pattern: NAME_PATTERN,
  description: 'For administrators.',
})

const identifier = Type.String({
  minLength: 1,
  maxLength: MAX_IDENTIFIER,
  pattern: '^[A-Za-z0-9.-]+$',
  description:
    'The bundle identifier, where you know it. Otherwise a package, or the first device, tells it; it never changes then.',
})

const manifestUrl = Type.String({
  minLength: 1,
  maxLength: MAX_URL,
  pattern: LINE_PATTERN,
  description:
    'Where devices fetch the manifest: https, except on loopback. Of an enterprise app without one, upload the package.',
})

const options = {
  remove_with_enrollment: Type.Boolean({ description: 'Whether it goes when the enrollment does.' }),
  prevent_backup: Type.Boolean({ description: 'Whether its data are left out of backups.' }),
  take_over: Type.Boolean({
    description: 'Whether an app that the person has installed becomes a managed one.',
  }),
  device_licence: Type.Boolean({
    description: 'Whether a store app is installed by a licence of the device, without an Apple Account.',
  }),
  min_os_version: orNull(
    Type.String({ minLength: 1, maxLength: 32, description: 'Devices with an older OS wait for it.' }),
  ),
  configuration: Type.Record(Type.String(), Type.Unknown(), {
    description:
      'Managed configuration; texts may hold variables such as {{device.serial_number}}, data and dates are {"$data"} and {"$date"}.',
  }),
}

const optional = {
  identifier: Type.Optional(identifier),
  manifest_url: Type.Optional(orNull(manifestUrl)),
  ...Object.fromEntries(
    Object.entries(options).map(([key, schema]) => [key, Type.Optional(orNull(schema as never))]),
  ),
}

/** What makes an app. */
export const newAppSchema = Type.Object(
  {
    kind,
    name,
    itunes_store_id: Type.Optional(
      Type.Integer({
        minimum: 1,
        maximum: MAX_ID,
        description: 'Of a store app: the number in its address.',
      }),
    ),
    ...optional,
  },
  { title: 'NewApp', description: 'What makes an app; options that are left out have their default.' },
)

/** What changes one. */
export const appPatchSchema = Type.Object(
  { name: Type.Optional(name), ...optional },
  { title: 'AppPatch', description: 'What is to change; null gives an option its default.' },
)

const packageSchema = Type.Object(
  {
    size: Type.Integer({ description: 'In bytes.' }),
    sha256: text('Of the file, in hexadecimal.'),
    version: text('CFBundleVersion.'),
    short_version: textOrNull('CFBundleShortVersionString.'),
    min_os_version: textOrNull('MinimumOSVersion.'),
    display_name: text('The name that devices show.'),
    platforms: Type.Array(Type.String(), { description: 'CFBundleSupportedPlatforms, such as iPhoneOS.' }),
    uploaded_at: time('When it was stored.'),
  },
  { title: 'AppPackage', description: 'A package (IPA) that this server hosts.' },
)

const ofRevision = {
  manifest_url: textOrNull('Where devices fetch the manifest of an enterprise app.'),
  package: orNull(packageSchema, 'The package that is hosted here.'),
  ...options,
}

/** An app with its newest revision. */
export const appSchema = Type.Object(
  {
    id: text('The id of the app.'),
    kind,
    name: text('Its name.'),
    itunes_store_id: orNull(Type.Integer({ description: 'Of a store app.' })),
    identifier: textOrNull('The bundle identifier; null until it is known.'),
    revision: Type.Integer({ description: 'The newest revision, which this answer shows.' }),
    released_revision: Type.Integer({ description: 'The revision that everybody gets.' }),
    ...ofRevision,
    warnings: Type.Array(
      Type.Object({
        path: text('The field.'),
        message: text('What may surprise you.'),
      }),
      { description: 'What is worth knowing before it is delivered.' },
    ),
    group_ids: Type.Array(Type.String(), { description: 'The groups that deliver it.' }),
    ...dates,
  },
  { title: 'App', description: 'An app that groups deliver.' },
)

/** A revision by itself. */
export const revisionSchema = Type.Object(
  {
    revision: Type.Integer({ description: 'Its number.' }),
    is_released: Type.Boolean({ description: 'Whether everybody gets it.' }),
    ...ofRevision,
    created_at: time('When it was stored.'),
  },
  { title: 'AppRevision', description: 'What is, or was, delivered of an app.' },
)

/** Whether everybody gets a new revision at once. */
export const rolloutQuery = {
  rollout: Type.Boolean({
    default: false,
    description: 'Store a revision that nobody gets yet; a rollout releases it.',
  }),
}
