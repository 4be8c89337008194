import type { Clock } from '../../../kernel/clock.ts'
import { isLoopbackHost } from '../../../kernel/loopback.ts'
import type { DeviceHttp, HttpAnswer } from '../../wire/device-http.ts'
import { mediaType, refuse } from '../../wire/strict-reading.ts'
import type { ReportViolation } from '../../wire/violations.ts'
import { createCookieJar, siteOf } from './cookies.ts'
import { readPage, type Form, type PageContent } from './page-content.ts'

/** Where a web view stands. */
export interface Page extends HttpAnswer {
  url: URL
  /** Without parameters. */
  mediaType: string
  /** Of a web page; undefined for everything else. */
  content: PageContent | undefined
  /** Sources of `form-action` in its policy; undefined when it names none. */
  formAction: readonly string[] | undefined
}

/** A web view: cookies, redirects, forms; no script. Refuses `message_invalid` when it cannot go on. */
export type Browser = ReturnType<typeof createBrowser>

interface Visit {
  url: URL
  method: 'GET' | 'POST'
  headers: Readonly<Record<string, string>>
  body?: string
  /** The page that leads there. */
  from: Page | undefined
  isForm: boolean
}

const MAX_REDIRECTS = 10
const USER_AGENT =
  'Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Mobile/15E148'
const REDIRECTS = [301, 302, 303, 307, 308]

/** A fresh web view, without cookies. */
export function createBrowser(deps: { http: DeviceHttp; clock: Clock; report: ReportViolation }) {
  const { http, clock, report } = deps
  const jar = createCookieJar(clock)

  async function visit(first: Visit): Promise<Page> {
    let next = first
    let crossSite = first.from !== undefined && siteOf(first.from.url) !== siteOf(first.url)
    for (let hops = 0; hops <= MAX_REDIRECTS; hops++) {
      checkFormAction(first, next.url)
      const answer = await send(next, crossSite)
      const target = REDIRECTS.includes(answer.status) ? answer.headers.location : undefined
      if (target === undefined) return pageOf(next.url, answer)
      const url = resolve(target, next.url)
      crossSite ||= siteOf(url) !== siteOf(next.url)
      next = redirected(next, url, answer.status)
    }
    report('page_invalid', `${first.url.pathname}: more than ${MAX_REDIRECTS} redirects`)
    return refuse('too many redirects')
  }

  async function send({ url, method, headers, body }: Visit, crossSite: boolean): Promise<HttpAnswer> {
    const cookie = jar.header(url, { crossSite, method })
    const answer = await http.send({
      method,
      url: url.href,
      headers: {
        accept: 'text/html,application/xhtml+xml,*/*;q=0.8',
        'user-agent': USER_AGENT,
        ...headers,
        ...(cookie === undefined ? {} : { cookie }),
      },
      ...(body === undefined ? {} : { body: Buffer.from(body) }),
    })
    for (const header of answer.headers['set-cookie'] ?? []) {
      const problem = jar.take(header, url)
      if (problem !== undefined) report('cookie_invalid', problem)
    }
    return answer
  }

  function resolve(target: string, base: URL): URL {
    const url = URL.canParse(target, base.href) ? new URL(target, base.href) : undefined
    const isPlain = url?.protocol === 'http:' && isLoopbackHost(url.hostname)
    if (url !== undefined && (url.protocol === 'https:' || isPlain)) return url
    report('page_invalid', `${base.pathname} leads to ${target}`)
    return refuse(`the page leads to ${target}`)
  }

  /** A submitted form may go nowhere, redirects included, but where its page's policy lets it. */
  function checkFormAction({ from, isForm }: Visit, target: URL): void {
    const sources = isForm ? from?.formAction : undefined
    if (sources === undefined || from === undefined) return
    if (sources.some((source) => allows(source, target, from.url))) return
    report('form_action_blocked', `${from.url.pathname}: form-action does not allow ${target.origin}`)
    refuse(`the policy of the page does not allow its form to go to ${target.origin}`)
  }

  return {
    /** Opens an address as its first one, with headers that go there alone. */
    open: (url: string, headers: Readonly<Record<string, string>> = {}) =>
      visit({ url: new URL(url), method: 'GET', headers, from: undefined, isForm: false }),
    follow: (from: Page, href: string) =>
      visit({ url: resolve(href, from.url), method: 'GET', headers: {}, from, isForm: false }),
    submit(from: Page, form: Form) {
      const url = resolve(form.action, from.url)
      const pairs = [...form.fields, ...(form.button === undefined ? [] : [form.button])]
      const data = new URLSearchParams(
        pairs.map(({ name, value }): [string, string] => [name, value]),
      ).toString()
      if (form.method === 'GET') url.search = data
      const post = {
        headers: { 'content-type': 'application/x-www-form-urlencoded', origin: from.url.origin },
        body: data,
      }
      const sent = form.method === 'POST' ? post : { headers: {} }
      return visit({ url, method: form.method, ...sent, from, isForm: true })
    },
  }
}

/** 307 and 308 repeat the request; the others make it a GET. The headers of the first load stay behind. */
function redirected({ method, headers, body, ...rest }: Visit, url: URL, status: number): Visit {
  const repeats = status === 307 || status === 308
  if (!repeats || body === undefined) return { ...rest, url, method: 'GET', headers: {} }
  return { ...rest, url, method, headers, body }
}

function pageOf(url: URL, { status, headers, body }: HttpAnswer): Page {
  const type = mediaType(headers['content-type'])
  const policy = headers['content-security-policy']
  const formAction = (Array.isArray(policy) ? policy.join(';') : (policy ?? ''))
    .split(/[;,]/)
    .map((directive) => directive.trim().split(/\s+/))
    .find(([name]) => name?.toLowerCase() === 'form-action')
  return {
    url,
    status,
    headers,
    body,
    mediaType: type,
    content: type === 'text/html' ? readPage(body.toString('utf8')) : undefined,
    formAction: formAction?.slice(1),
  }
}

function allows(source: string, target: URL, self: URL): boolean {
  if (source === "'self'") return target.origin === self.origin
  if (source === '*') return true
  if (source.endsWith(':')) return target.protocol === source
  const written = source.includes('://') ? source : `${self.protocol}//${source}`
  if (!URL.canParse(written)) return false
  const { origin, pathname } = new URL(written)
  return origin === target.origin && (pathname === '/' || target.pathname.startsWith(pathname))
}
