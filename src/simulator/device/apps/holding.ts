import { accept, decline, fail, isAsking, isComing, moveOn, type App, type Apps } from './app.ts'
import type { Download } from './fetching.ts'
import { storeApp, type StoreApp } from './store.ts'

/** How an installation ends, when it does not simply succeed. */
export type AppOutcome = 'Managed' | 'Failed' | 'UserRejected' | 'UserInstalledApp'

/** How apps behave on a device. */
export interface AppsOptions {
  /** What the App Store knows; by default of each app, with a bundle id made from its number. */
  store?: (id: number) => StoreApp | undefined
  /** The person is signed in to the App Store, so free apps need no licence. Default: not. */
  account?: boolean
  /** What the person does when the device asks (default: `leave`, so that it goes on asking). */
  prompts?: 'leave' | 'accept' | 'decline'
  /**
   * When an installation goes one step on: each time that a list told of it (`looks`, the default), or all at once as
   * soon as the package is there.
   */
  steps?: 'looks' | 'at once'
  /** How much of a package is fetched (default: all of it). */
  download?: Download
  /** How the next installations of an app end, by bundle id, in this order. */
  outcomes?: Readonly<Record<string, readonly AppOutcome[]>>
}

/** The apps of one device and how they behave. */
export interface Holding {
  readonly apps: Apps
  readonly options: AppsOptions
  outcomes: Map<string, AppOutcome[]> | undefined
}

/** A device without apps of its own. */
export function createHolding(options: AppsOptions = {}): Holding {
  const scripted = Object.entries(options.outcomes ?? {})
  const outcomes = scripted.map(([identifier, list]): [string, AppOutcome[]] => [identifier, [...list]])
  return { apps: new Map(), options, outcomes: outcomes.length === 0 ? undefined : new Map(outcomes) }
}

/** What the App Store knows of the app with that number. */
export function askStore({ options }: Holding, id: number): StoreApp | undefined {
  return (options.store ?? storeApp)(id)
}

/** Adds how the next installations of an app end. */
export function scriptOutcomes(holding: Holding, identifier: string, outcomes: readonly AppOutcome[]): void {
  holding.outcomes ??= new Map()
  holding.outcomes.set(identifier, [...(holding.outcomes.get(identifier) ?? []), ...outcomes])
}

/** Before a list tells of an app: what happens at once happens. */
export function beforeLook(holding: Holding, app: App): void {
  if (holding.options.steps !== 'at once') return
  for (let before; before !== app.status && isComing(app);) {
    before = app.status
    step(holding, app)
  }
}

/** After a list told of an app: time goes on. */
export function afterLook(holding: Holding, app: App): void {
  const { prompts = 'leave' } = holding.options
  if (!isAsking(app)) step(holding, app)
  else if (prompts === 'accept') accept(app)
  else if (prompts === 'decline') decline(app)
}

function step({ apps, outcomes }: Holding, app: App): void {
  const isEnding = app.status === 'Installing' || app.status === 'Updating'
  const outcome = isEnding ? outcomes?.get(app.identifier)?.shift() : undefined
  if (outcome === undefined || outcome === 'Managed') moveOn(apps, app)
  else if (outcome === 'Failed') fail(app, 'scripted')
  else {
    if (outcome === 'UserInstalledApp') app.present = app.coming ?? app.present
    app.coming = undefined
    app.status = outcome
  }
}
