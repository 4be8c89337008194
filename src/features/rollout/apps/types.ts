/** How an app is installed and kept. */
export interface AppOptions {
  /** It goes when the enrollment does. */
  remove_with_enrollment: boolean
  /** Its data are in no backup. */
  prevent_backup: boolean
  /** An app that the person installed becomes a managed one. */
  take_over: boolean
  /** A store app is installed by a licence of the device, without an Apple Account. */
  device_licence: boolean
  /** Devices with an older OS do not get it. */
  min_os_version: string | null
  /** Managed configuration, as JSON: `$data` and `$date` stand for data and dates, texts may hold variables. */
  configuration: Record<string, unknown>
}

/** Values of variables by their names, as `kernel/template.ts` takes them; a secret is `secret.NAME`. */
export interface VariableValues {
  get(name: string): string | null | undefined
}

/** Names a revision of an app. */
export interface RevisionName {
  id: string
  revision: number
}

/** What the delivery of a revision depends on. The identifier apart, which may be learned later, it never changes. */
export interface AppFacts extends RevisionName {
  kind: 'store' | 'enterprise'
  itunes_store_id: number | null
  /** The bundle identifier, where it is known. */
  identifier: string | null
  /** Where devices fetch the manifest of an enterprise app; null for one without manifest and package. */
  manifest_url: string | null
  /** Of a package that this server hosts: its CFBundleVersion and CFBundleShortVersionString. */
  hosted: { package_id: string; version: string; short_version: string | null; platforms: string[] } | null
  /** The greater one of what its options and its package ask for. */
  min_os_version: string | null
  options: AppOptions
  /** Names of the variables in its configuration. */
  variables: string[]
}
