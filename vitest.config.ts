import { defineConfig } from 'vitest/config'

/** Tests of pure code, which need no database. */
const pure = ['test/*.test.ts', 'test/{config,house,kernel,protocol,simulator}/**/*.test.ts']

export default defineConfig({
  test: {
    pool: 'forks',
    maxWorkers: 2,
    testTimeout: 20_000,
    hookTimeout: 60_000,
    projects: [
      { extends: true, test: { name: 'pure', include: pure } },
      {
        extends: true,
        test: {
          name: 'database',
          include: ['test/**/*.test.ts'],
          exclude: pure,
          globalSetup: 'test/support/global-setup.ts',
        },
      },
    ],
  },
})
