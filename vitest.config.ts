import { defineConfig } from 'vitest/config'

/** Tests of pure code, which need no database. */
const pure = [
  'test/*.test.ts',
  'test/{config,house,kernel,protocol,simulator}/**/*.test.ts',
  'test/features/rollout/*.property.test.ts',
]

export default defineConfig({
  test: {
    pool: 'forks',
    // One more than the cores of a small machine: what waits for a server, a device or a clock leaves a core to another.
    maxWorkers: 3,
    // The files of a worker share their modules: what is compiled and warm for one is so for the next, a quarter of all time.
    isolate: false,
    // These end what hangs, on a machine however slow: none of them says how quick anything has to be.
    testTimeout: 300_000,
    hookTimeout: 300_000,
    expect: { poll: { timeout: 240_000 } },
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
