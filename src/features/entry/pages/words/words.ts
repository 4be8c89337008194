import type { ReasonCode } from '../../../attempts/index.ts'

/** Everything that people read on the pages, in one language. */
export interface Words {
  signIn: {
    heading: string
    intro: string
    userName: string
    password: string
    submit: string
    or: string
    with: (provider: string) => string
  }
  newPassword: {
    heading: string
    expired: (userName: string) => string
    mustChange: (userName: string) => string
    first: string
    again: string
    submit: string
    unequal: string
    /** `detail`: what is wrong with it, in English. */
    refused: (detail: string) => string
  }
  ready: {
    heading: string
    signedInAs: (userName: string) => string
    download: string
    mobile: string
    mobileSteps: readonly string[]
    mac: string
    macSteps: readonly string[]
    hurry: string
  }
  refused: { heading: string; text: string }
  update: { heading: string; text: (version: string) => string }
  limit: { heading: string; text: (count: number, limit: number) => string }
  startAgain: { heading: string; text: string }
  notHere: { heading: string; text: string }
  openPage: string
  forAdministrator: string
  help: string
  /** What a person is told whose sign-in was refused; never which of name and password was wrong. */
  problems: Partial<Record<ReasonCode, string>> & { other: string }
  wait: (minutes: number) => string
}
