/** Who sits before a phone. */
export interface Person {
  userName: string
  /** Typed one after the other, as long as the form comes back. */
  passwords: readonly string[]
  /** What the person's second factor shows; asked for on web pages. */
  oneTimeCode?: string
  /** Chosen when a page asks for a new password. */
  newPassword?: string
  /** The text of the link that is tapped on a page that offers several ways. */
  link?: RegExp
}
