/** Letters with a stroke or of two, which have no decomposition: directories compare them as these. */
const LETTERS: Record<string, string> = {
  ø: 'o',
  ł: 'l',
  đ: 'd',
  ð: 'd',
  ħ: 'h',
  ŧ: 't',
  ı: 'i',
  ŋ: 'n',
  ƒ: 'f',
  æ: 'ae',
  œ: 'oe',
  þ: 'th',
}

const HIRAGANA = { from: 0x30a1, to: 0x30f6, distance: 0x60 }

/**
 * The account that a user name means, as directories see it: they look neither at case, accents, width nor the kind of kana,
 * pass over characters that cannot be seen, and take `CORP\anna`, `anna@corp.example` and `anna` for the same. People who are
 * called the same in two domains count as one: that makes nobody wait who has not failed themselves.
 */
export function accountKey(userName: string): string {
  const plain = Array.from(userName.normalize('NFKD'), plainOf).join('').normalize('NFC')
  const account = (plain.split(/[\\/]/).findLast((part) => part !== '') ?? '').split('@', 1)[0] ?? ''
  return trimDots(account) || plain
}

/** Control, format and private characters, marks, spaces and symbols beyond ASCII count for nothing. */
function plainOf(character: string): string {
  // First the case: a Greek iota subscript is a mark, and a letter in capitals.
  const folded = character.toLowerCase().toUpperCase().normalize('NFKD')
  return Array.from(folded, (each) => {
    const lower = each.toLowerCase()
    return /[\p{L}\p{N}!-~]/u.test(lower) ? (LETTERS[lower] ?? toHiragana(lower)) : ''
  }).join('')
}

function toHiragana(character: string): string {
  const code = character.codePointAt(0) ?? 0
  const isKatakana = code >= HIRAGANA.from && code <= HIRAGANA.to
  return isKatakana ? String.fromCodePoint(code - HIRAGANA.distance) : character
}

function trimDots(text: string): string {
  let [start, end] = [0, text.length]
  while (text[start] === '.') start += 1
  while (end > start && text[end - 1] === '.') end -= 1
  return text.slice(start, end)
}
