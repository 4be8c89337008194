/** The door of Setup Assistant: phones are held in it, and let go. */
export { release as releaseFromSetup } from './release.ts'
