/** The door of Setup Assistant: phones are held in it, and let go. */
export { createSetupRelease, RELEASE_FACTS, type SetupRelease } from './release.ts'
