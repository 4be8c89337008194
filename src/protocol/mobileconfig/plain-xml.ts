/**
 * The same document made of tags and text alone, for `plist`, from one that our own reader has taken: it drops comments within
 * keys and numbers, sections of CDATA within keys, and ends of lines that are not XML 1.0's. Numbers become texts that begin with `mark`, `i` or
 * `r`.
 */
export function plainXml(text: string, mark: string): string {
  const pieces: string[] = []
  let from = text.charCodeAt(0) === 0xfeff ? 1 : 0
  for (let at = text.indexOf('<', from); at !== -1; at = text.indexOf('<', from)) {
    pieces.push(keepLineSeparators(text.slice(from, at)))
    from = endOfMarkup(text, at)
    const markup = text.slice(at, from)
    if (markup.startsWith(CDATA)) pieces.push(escaped(markup.slice(CDATA.length, -CDATA_END.length)))
    else if (!/^<[!?]/.test(markup)) pieces.push(tagFor(markup, mark))
  }
  return pieces.join('')
}

const CDATA = '<![CDATA['
const CDATA_END = ']]>'

function endOfMarkup(text: string, at: number): number {
  const closing = text.startsWith('<!--', at)
    ? '-->'
    : text.startsWith(CDATA, at)
      ? CDATA_END
      : text.startsWith('<?', at)
        ? '?>'
        : '>'
  // The comment `<!-->` is none, and the reader before has refused it.
  return text.indexOf(closing, at) + closing.length
}

function tagFor(tag: string, mark: string): string {
  const [, end, name] = /^<(\/?)(integer|real)\b/.exec(tag) ?? []
  if (name === undefined) return tag
  return end === '' ? `<string>${mark}${name.charAt(0)}` : '</string>'
}

function escaped(text: string): string {
  return keepLineSeparators(text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;'))
}

function keepLineSeparators(text: string): string {
  return text.replace(/[\u0085\u2028\u2029]/g, (char) => `&#${char.charCodeAt(0)};`)
}
