import { text } from '../../../kernel/schema.ts'
import { changed, flag, info, number, type Kinds } from './kind.ts'

const app = {
  app_id: text('The app.'),
  name: text('Its name.'),
  revision: number('Its newest revision, or the one that was released.'),
}

/** What administrators do with apps. */
export const APPS = {
  'app.created': info('An app was made', { ...app, kind: text('Where it comes from: store or enterprise.') }),
  'app.deleted': info('An app was deleted', app),
  'app.updated': info('An app was changed', {
    ...app,
    changed,
    released: flag('Whether everybody gets this revision from now on.'),
  }),
} as const satisfies Kinds
