import { describe, expect, test } from 'vitest'
import { judgeApp } from '../../../../src/features/rollout/apps/judge.ts'
import { compareAppVersions, isAtLeast } from '../../../../src/features/rollout/apps/versions.ts'

const HOSTED = { hosted: { package_id: 'p', version: '42', short_version: '1.2.3', platforms: [] } }
const OTHER = { hosted: null }
const there = (short_version: string | null, version: string | null, installing = false) => ({
  short_version,
  version,
  installing,
})

describe('an app that is not hosted here', () => {
  test.each([
    ['Managed', { state: 'installed' }],
    ['ManagedButUninstalled', { state: 'absent' }],
    ['Queued', { state: 'unsettled' }],
    ['Redeeming', { state: 'unsettled' }],
    ['ValidatingPurchase', { state: 'unsettled' }],
    ['ValidatingUpdate', { state: 'unsettled' }],
    ['Updating', { state: 'unsettled' }],
    ['Installing', { state: 'unsettled' }],
    ['Unknown', { state: 'unsettled' }],
    ['SomethingNew', { state: 'unsettled' }],
    ['__proto__', { state: 'unsettled' }],
    ['NeedsRedemption', { state: 'waits_for_person' }],
    ['Prompting', { state: 'waits_for_person' }],
    ['PromptingForLogin', { state: 'waits_for_person' }],
    ['PromptingForUpdate', { state: 'waits_for_person' }],
    ['PromptingForUpdateLogin', { state: 'waits_for_person' }],
    ['PromptingForManagement', { state: 'waits_for_person' }],
    ['UserRejected', { state: 'failed', reason: 'user_rejected' }],
    ['UpdateRejected', { state: 'failed', reason: 'user_rejected' }],
    ['ManagementRejected', { state: 'failed', reason: 'user_rejected' }],
    ['UserInstalledApp', { state: 'failed', reason: 'user_installed' }],
    ['Failed', { state: 'failed', reason: 'install_failed' }],
  ])('is with status %s %j', (status, expected) => {
    expect(judgeApp(OTHER, { status }, undefined, 'ios')).toEqual(expected)
    expect(judgeApp(OTHER, { status }, there('0.1', '0.1'), null)).toEqual(expected)
  })

  test('is absent where the list is without it, and asked for again where there is no list', () => {
    expect(judgeApp(OTHER, undefined, there('1', '1'), 'ios')).toEqual({ state: 'absent' })
    expect(judgeApp(OTHER, null, there('1', '1'), 'ios')).toEqual({ state: 'unsettled' })
  })
})

describe('a hosted app', () => {
  test.each([
    [undefined, 'unsettled'],
    [null, 'unsettled'],
    [there('1.2.3', '42'), 'installed'],
    [there('1.2.3', '43'), 'installed'],
    [there('1.3', '1'), 'installed'],
    [there('1.2.10', '1'), 'installed'],
    [there('1.2.2', '99'), 'unsettled'],
    [there('1.2.3', '41'), 'unsettled'],
    [there('1.2.3', '42', true), 'unsettled'],
    [there(null, '42'), 'installed'],
    [there('42', '42'), 'installed'],
    [there(null, '1.2.3'), 'installed'],
    [there('1.2.3', null), 'installed'],
    [there(null, null), 'unsettled'],
  ])('is managed with %j: %s', (installed, state) => {
    expect(judgeApp(HOSTED, { status: 'Managed' }, installed, 'ipados')).toEqual({ state })
  })

  test('is not installed before it is managed, whatever is there', () => {
    expect(judgeApp(HOSTED, { status: 'Updating' }, there('1.2.3', '42'), 'ios').state).toBe('unsettled')
    expect(judgeApp(HOSTED, undefined, there('1.2.3', '42'), 'ios').state).toBe('absent')
  })
})

describe('on a Mac', () => {
  test.each([
    [undefined, there('1', '1'), 'installed'],
    [null, there('1', '1'), 'installed'],
    [{ status: 'UserRejected' }, there('1', '1'), 'installed'],
    [{ status: 'Managed' }, undefined, 'unsettled'],
    [{ status: 'Failed' }, undefined, 'failed'],
    [{ status: 'Installing' }, undefined, 'unsettled'],
    [undefined, undefined, 'absent'],
    [null, undefined, 'unsettled'],
    [undefined, null, 'unsettled'],
  ])('%j and %j: %s', (managed, installed, state) => {
    expect(judgeApp(OTHER, managed, installed, 'macos').state).toBe(state)
  })
})

test('versions are compared by their parts', () => {
  const rising = ['0', '1.0b1', '1.0b2', '1.2', '1.10', '1.10.1', '2', '20240101.1', '20240101.12']
  const sorted = rising.toReversed().toSorted(compareAppVersions)
  expect(sorted).toEqual(rising)
  expect(compareAppVersions('1.0', '1')).toBe(0)
  expect(compareAppVersions(' 1.0', '1.0.0')).toBe(0)
  expect(isAtLeast({ version: '1', short_version: '1.1' }, { version: '57', short_version: '1.0' })).toBe(
    true,
  )
})
