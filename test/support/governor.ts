import type { TestApp } from './app.ts'

const FREE = { per_token_per_hour: null, per_hour: null }

/** Has acts that destroy something done as often as a test asks for them. */
export async function liftLimits(world: Pick<TestApp, 'api'>): Promise<void> {
  const { body } = await world.api('GET', '/governor')
  const acts = Object.fromEntries(Object.keys(body.acts as object).map((act) => [act, FREE]))
  await world.api('PUT', '/governor', { acts })
}
