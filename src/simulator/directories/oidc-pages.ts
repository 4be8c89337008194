/** What a page of the provider asks for. */
export type OidcQuestion = 'password' | 'code' | 'new-password'

const QUESTION_FIELDS: Readonly<Record<OidcQuestion, string>> = {
  password:
    '<label>User name <input name="username" autocomplete="username" required></label>' +
    '<label>Password <input name="password" type="password" autocomplete="current-password" required></label>',
  code: '<label>Code from your app <input name="otp" inputmode="numeric" autocomplete="one-time-code" required></label>',
  'new-password':
    '<label>New password <input name="new_password" type="password" autocomplete="new-password" required></label>',
}

/** The page that asks, with what was wrong the last time. */
export function questionPage(question: OidcQuestion, transaction: string, problem?: string): string {
  const alert = problem === undefined ? '' : `<p role="alert">${problem}</p>`
  return page(
    'Sign in',
    `${alert}<form method="post" action="/login"><input type="hidden" name="transaction" value="${transaction}">` +
      `${QUESTION_FIELDS[question]}<button>Sign in</button></form>`,
  )
}

/** The page that explains an error which must not be sent back to the client. */
export function errorPage(problem: string): string {
  return page('This does not work', `<p role="alert">${problem}</p>`)
}

function page(title: string, body: string): string {
  return `<!DOCTYPE html><html lang="en"><head><title>${title}</title></head><body><h1>${title}</h1>${body}</body></html>`
}
