import { AppError } from '../../kernel/errors.ts'
import { PROFILE_TYPE } from '../device/profiles/enrollment-profile.ts'
import type { Person } from '../person.ts'
import { ConnectionLost } from '../wire/device-http.ts'
import { createBrowser, type Browser, type Page } from './browser/browser.ts'
import { domainOf } from './browser/cookies.ts'
import type { Field, Form, PageContent } from './browser/page-content.ts'
import { end, genericScreen, type PhoneSteps, type ProfileEnd } from './setup-steps.ts'
import { checkSilence } from './silence.ts'

const MAX_PAGES = 30
const TYPED = ['text', 'email', 'tel', 'number', 'password']
const WAY_ON = /sign ?in|log ?in|continue|next|anmelden|weiter/i

/** What the person has done so far. */
interface Progress {
  tries: number
  codes: number
  last: Page | undefined
}

/**
 * Asks for the enrollment profile in the web view of Setup Assistant: opens the address with the signed MachineInfo in
 * `x-apple-aspen-deviceinfo`, does what the pages ask, and ends at a profile. `introducesItself: false`: in a browser,
 * which sends no such header.
 */
export async function askOnPages(
  steps: PhoneSteps,
  webUrl: string,
  introducesItself: boolean,
): Promise<ProfileEnd> {
  const browser = createBrowser(steps)
  const progress: Progress = { tries: 0, codes: 0, last: undefined }
  const device = introducesItself ? (await steps.machineInfo()).toString('base64') : undefined
  try {
    let page = await browser.open(webUrl, device === undefined ? {} : { 'x-apple-aspen-deviceinfo': device })
    for (let count = 0; count < MAX_PAGES; count++) {
      progress.last = page
      if (page.mediaType === PROFILE_TYPE) return takeProfile(steps, webUrl, page, progress)
      const next = await act(browser, page, steps, progress)
      if (next === undefined) return endAt(steps, page, progress)
      page = next
    }
    steps.report('page_invalid', `no end after ${MAX_PAGES} pages`)
    return endAt(steps, page, progress)
  } catch (error) {
    const isKnown = error instanceof ConnectionLost || error instanceof AppError
    if (!isKnown) throw error
    return end('stuck', genericScreen(steps), progress.last?.status, progress)
  }
}

function takeProfile(steps: PhoneSteps, webUrl: string, page: Page, progress: Progress): ProfileEnd {
  const { report } = steps
  if (page.status !== 200) {
    report('profile_with_refusal', `a profile with status ${page.status}`)
    return end('stuck', genericScreen(steps), page.status, progress)
  }
  const [from, to] = [new URL(webUrl).hostname, page.url.hostname]
  if (domainOf(from) !== domainOf(to)) {
    report('profile_host', `the profile comes from ${to}, the web view began at ${from}`)
    return end('stuck', 'Invalid Profile', 200, progress)
  }
  return { kind: 'profile', bytes: page.body, signInTries: progress.tries }
}

/** The person reads the page and goes on; undefined when there is nothing to do any more. */
async function act(
  browser: Browser,
  page: Page,
  { person, report }: PhoneSteps,
  progress: Progress,
): Promise<Page | undefined> {
  const { content } = page
  if (content === undefined) {
    if (page.status === 403) checkSilence('the web view', page, report)
    else report('wrong_content_type', `a page (${page.status}) came as ${page.mediaType || 'nothing'}`)
    return undefined
  }
  if (content.refresh !== undefined) return browser.follow(page, content.refresh)
  const wanted = person?.link
  const chosen = wanted && content.links.find(({ text }) => wanted.test(text))
  if (chosen !== undefined) return browser.follow(page, chosen.href)
  const form = content.forms.find(asksSomething) ?? content.forms[0]
  if (form !== undefined) {
    const filled = person === undefined && asksSomething(form) ? undefined : fill(form, person, progress)
    return filled === undefined ? undefined : browser.submit(page, filled)
  }
  const [link] = page.status < 400 ? content.links.filter(({ text }) => WAY_ON.test(text)) : []
  return link === undefined ? undefined : browser.follow(page, link.href)
}

function asksSomething(form: Form): boolean {
  return form.fields.some(({ type }) => TYPED.includes(type))
}

/** The form as the person fills it in; undefined when the person has nothing left to type. */
function fill(form: Form, person: Person | undefined, progress: Progress): Form | undefined {
  if (person === undefined || !asksSomething(form)) return form
  const asksPassword = form.fields.some((field) => kindOf(field) === 'password')
  const asksCode = form.fields.some((field) => kindOf(field) === 'code')
  const password = person.passwords[progress.tries]
  if (asksPassword && password === undefined) return undefined
  if (asksCode && (person.oneTimeCode === undefined || progress.codes > 0)) return undefined
  if (asksPassword) progress.tries += 1
  if (asksCode) progress.codes += 1
  const values = {
    user: person.userName,
    password: password ?? '',
    code: person.oneTimeCode ?? '',
    new: person.newPassword ?? '',
  }
  const fields = form.fields.map((field) => {
    const kind = kindOf(field)
    return kind === undefined ? field : { ...field, value: values[kind] }
  })
  return { ...form, fields }
}

/** What a field asks for; undefined when it is left as it is. */
function kindOf({ type, autocomplete, name }: Field): 'user' | 'password' | 'code' | 'new' | undefined {
  if (!TYPED.includes(type)) return undefined
  if (autocomplete === 'one-time-code' || /otp|code/i.test(name)) return 'code'
  if (type === 'password')
    return autocomplete === 'new-password' || /new|repeat/i.test(name) ? 'new' : 'password'
  return autocomplete === 'username' || type === 'email' || /user|login|mail|name/i.test(name)
    ? 'user'
    : undefined
}

/** The page where it ended: a form that came back, or one that explains. */
function endAt(steps: PhoneSteps, { status, content }: Page, progress: Progress): ProfileEnd {
  const isRefused = status < 500 && (content !== undefined || status === 403)
  const screen = content === undefined ? genericScreen(steps) : describe(content)
  return end(isRefused ? 'refused' : 'stuck', screen, status, progress)
}

function describe({ title, heading, alert, text }: PageContent): string {
  const head = heading === '' ? title : heading
  return alert === '' ? (head === '' ? text : head) : `${head}: ${alert}`
}
