import { describe, expect, onTestFinished, test } from 'vitest'
import { temporaryFolder } from '../support/temporary-folder.ts'
import { EVERYTHING, read, section } from './pages.ts'
import { requirePrograms } from './programs.ts'
import { type Block, blocksOf, normalize, play } from './story.ts'

/** Plays the blocks of `texts`, one after the other in a folder of their own; what they say must be what is shown. Gives all outputs. */
async function tell(texts: readonly string[], further: readonly Block[] = []): Promise<(string | null)[]> {
  requirePrograms({ curl: 'curl', openssl: 'openssl', scepclient: 'scep' })
  const folder = temporaryFolder()
  onTestFinished(() => folder.remove())
  const blocks = texts.flatMap((text) => blocksOf(text))
  const outputs = await play([...blocks, ...further], folder.path)
  for (const text of texts) expect(blocksOf(text).length).toBeGreaterThan(4)
  blocks.forEach(({ code, shown }, index) => {
    if (shown !== null) expect(normalize(outputs[index] ?? ''), code).toBe(normalize(shown))
  })
  return outputs
}

describe('the stories', { timeout: 900_000 }, () => {
  test("the README's goes as it is told, then the one by hand, and the addresses that are named exist", async () => {
    const code = `curl -sS $SERVER/api/v1/openapi.json -H "Authorization: Bearer $TOKEN"`
    const outputs = await tell(
      [section('README.md', 'The story: from nothing to a device that obeys'), read('docs/by-hand.md')],
      [{ code, isBackground: false, shown: null }],
    )
    const { paths } = JSON.parse(outputs.at(-1) ?? '') as { paths: Record<string, unknown> }
    const known = Object.keys(paths).map((name) => name.replaceAll(/\{[^}]+\}/g, '{}'))
    const told = new Set(
      EVERYTHING.match(/\/api\/v1\/[a-z{][\w/{}-]*/g)?.map((name) => name.replaceAll(/\{[^}]+\}/g, '{}')),
    )
    expect([...told].filter((name) => !known.includes(name))).toEqual(['/api/v1/openapi'])
  })

  test('automated enrollment goes as it is told', async () => {
    await tell([section('docs/enrollment.md', 'Out of the box, on to Wi-Fi, enrolled')])
  })
})
