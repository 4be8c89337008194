import { describe, expect, test } from 'vitest'
import { groundOf, type Claimant, type Owner } from '../../../src/features/entry/owner-rule.ts'

const NOW = new Date('2027-01-01T12:00:00Z')
const later = (minutes: number) => new Date(NOW.getTime() + minutes * 60_000)

/** A live phone of nobody that came by a link. */
const owner: Owner = {
  type: 'device',
  way: 'link',
  userId: null,
  serialNumber: 'SERIAL1',
  isLive: true,
  isErased: false,
  isUnregistered: false,
  allowedUntil: null,
}
/** Somebody with a link that names another user. */
const claimant: Claimant = {
  type: 'device',
  deviceId: 'UDID-1',
  way: 'link',
  userId: 'mallory',
  machineInfo: null,
}
const machineInfo = { udid: 'UDID-1', serialNumber: 'SERIAL1' }
const ade = { way: 'ade', userId: null, machineInfo } as const
const person = { userId: 'ada' }

describe('who may take the place of an enrollment', () => {
  test.each<[string, Partial<Owner>, Partial<Claimant>, ReturnType<typeof groundOf>]>([
    ['a stranger', {}, {}, undefined],
    ['anybody, of one that has ended', { isLive: false }, {}, 'not_live'],
    ['anybody, of an automated one that has ended', { isLive: false, way: 'ade', ...person }, {}, 'not_live'],

    ['its MachineInfo, of one by a link', {}, ade, 'machine_info'],
    [
      'its MachineInfo, of another user',
      { way: 'ade', ...person },
      { ...ade, userId: 'bob' },
      'machine_info',
    ],
    ['its MachineInfo in the web view', { way: 'ade' }, { ...ade, way: 'ade_web' }, 'machine_info'],
    ['its MachineInfo, the serial number not known', { serialNumber: null }, ade, 'machine_info'],
    [
      'its MachineInfo, spelled otherwise',
      { way: 'ade', serialNumber: 'serial1' },
      { ...ade, deviceId: 'udid-1' },
      'machine_info',
    ],
    ['its MachineInfo, of another type', { type: 'other' }, ade, 'machine_info'],
    [
      'the MachineInfo of another serial number',
      { way: 'ade' },
      { ...ade, machineInfo: { ...machineInfo, serialNumber: 'SERIAL2' } },
      undefined,
    ],
    [
      'a MachineInfo without a serial number',
      {},
      { ...ade, machineInfo: { ...machineInfo, serialNumber: null } },
      undefined,
    ],
    [
      'the MachineInfo of another UDID',
      {},
      { ...ade, machineInfo: { ...machineInfo, udid: 'UDID-2' } },
      undefined,
    ],
    ['a MachineInfo that did not open the attempt', {}, { machineInfo }, undefined],
    ['an automated attempt without MachineInfo', {}, { ...ade, machineInfo: null }, undefined],

    ['the same user by a link', person, person, 'same_user'],
    ['the same user on the page', { ...person, way: 'page' }, { ...person, way: 'page' }, 'same_user'],
    ['the same user by page and link', { ...person, way: 'page' }, person, 'same_user'],
    [
      'the same user, whatever the serial number of the MachineInfo',
      person,
      { ...ade, ...person, machineInfo: { ...machineInfo, serialNumber: 'SERIAL2' } },
      'same_user',
    ],
    ['the same user, of an automated one', { ...person, way: 'ade' }, person, undefined],
    ['the same user, of an automated one by the web', { ...person, way: 'ade_web' }, person, undefined],
    ['the same user, of another type', { ...person, type: 'other' }, person, undefined],
    ['another user', person, {}, undefined],
    ['nobody, of one with a user', person, { userId: null }, undefined],
    ['a link that names nobody', {}, { userId: null }, 'no_user'],
    ['a link that names nobody, of what came otherwise', { way: null }, { userId: null }, 'no_user'],
    ['a link that names nobody, of an automated one', { way: 'ade' }, { userId: null }, undefined],
    ['the page without a person', {}, { way: 'page', userId: null }, undefined],
    ['an automated attempt of nobody', { serialNumber: 'SERIAL2' }, ade, undefined],
    ['a link with a user, of nobody', {}, person, undefined],

    ['anybody within the hour', { way: 'ade', allowedUntil: later(1) }, {}, 'allowed'],
    ['anybody at the end of the hour', { allowedUntil: NOW }, {}, undefined],
    ['anybody after the hour', { allowedUntil: later(-1) }, {}, undefined],
    ['another type within the hour', { type: 'other', allowedUntil: later(1) }, {}, undefined],
    ['one whom an operator sends', { way: 'ade', ...person }, { isSent: true }, 'allowed'],
    ['another type whom an operator sends', { type: 'other' }, { isSent: true }, undefined],

    ['anybody, of an erased one', { way: 'ade', isErased: true, ...person }, {}, 'erased'],
    ['another type, of an erased one', { type: 'other', isErased: true }, {}, undefined],
    ['anybody, of one that Apple calls gone', { way: 'ade', isUnregistered: true }, {}, 'unregistered'],
    ['another type, of one that is gone', { type: 'other', isUnregistered: true }, {}, undefined],
  ])('%s', (_, there, who, ground) => {
    expect(groundOf({ ...owner, ...there }, { ...claimant, ...who }, NOW)).toBe(ground)
  })
})
