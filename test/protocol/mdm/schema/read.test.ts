import { expect, test } from 'vitest'
import { describe as read } from '../../../support/apple-schema/read.ts'

test('a key that holds itself ends, and versions stay texts', () => {
  const text = `
title: Folders
payload:
  requesttype: Fold
  supportedOS:
    iOS: { introduced: 18.0, supervised: true, userenrollment: { mode: forbidden } }
    macOS: { introduced: n/a }
payloadkeys:
- key: Folder
  type: <array>
  presence: required
  subkeys: &inside
  - key: Item
    type: <dictionary>
    subkeys:
    - { key: Name, type: <string>, rangelist: [a, b], default: a }
    - key: Folder
      type: <array>
      subkeys: *inside
`
  expect(read('folders.yaml', text)).toEqual({
    file: 'folders.yaml',
    payload: expect.objectContaining({ requesttype: 'Fold' }),
    on: { iOS: { introduced: '18.0', supervised: true, user_enrollment: 'forbidden' }, macOS: null },
    keys: [
      {
        key: 'Folder',
        type: 'array',
        required: true,
        keys: [
          {
            key: 'Item',
            type: 'dictionary',
            keys: [
              { key: 'Name', type: 'string', values: ['a', 'b'], default: 'a' },
              { key: 'Folder', type: 'array' },
            ],
          },
        ],
      },
    ],
  })
})
