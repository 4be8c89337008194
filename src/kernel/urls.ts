import { AppError } from './errors.ts'

/** An address without the slashes at its end. */
export function withoutFinalSlashes(url: string): string {
  let end = url.length
  while (url[end - 1] === '/') end -= 1
  return url.slice(0, end)
}

/**
 * An address below another one, which has no slash at its end. Throws `message_invalid` for a path that would lead out of it.
 */
export function below(base: string, path: string): string {
  const whole = URL.parse(`${base}/${path}`)
  const { origin, pathname } = new URL(base)
  const start = `${withoutFinalSlashes(pathname)}/`
  if (whole === null || whole.origin !== origin || !whole.pathname.startsWith(start))
    throw new AppError('message_invalid', 'The path leads elsewhere.')
  return whole.href
}
