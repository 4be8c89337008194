/**
 * What is not seen and changes what is seen, for a class of a regular expression with flag `u`: control characters, separators of lines, halves of characters, and what turns
 * the direction of text (Unicode, annex 9, section 2). A name that holds one may pass for another, in a list or a terminal.
 */
export const UNSEEN = String.raw`\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff`

/** What a name looks like, as a regular expression: nothing unseen, no space at its ends. */
export const NAME_PATTERN = String.raw`^[^\s${UNSEEN}](?:[^${UNSEEN}]*[^\s${UNSEEN}])?$`

/** What a line of text looks like, as a regular expression; it may be empty. */
export const LINE_PATTERN = String.raw`^[^${UNSEEN}]*$`
