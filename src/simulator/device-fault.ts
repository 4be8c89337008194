import { AppError } from '../kernel/errors.ts'

/** One link of an ErrorChain. */
export interface ErrorLink {
  domain: string
  code: number
  description: string
}

/** Why a device does not do what it was asked to: what it answers as ErrorChain, outermost link first. */
export class DeviceFault extends AppError {
  readonly links: readonly [ErrorLink, ...ErrorLink[]]

  constructor(...links: [ErrorLink, ...ErrorLink[]]) {
    super('message_invalid', links.at(-1)?.description)
    this.links = links
  }
}
