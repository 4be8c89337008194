import { Validator } from '@seriousme/openapi-schema-validator'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { startTestApp, type TestApp } from '../support/app.ts'
import { testDatabase } from '../support/database.ts'

/** A part of the document, whose shape the test asserts. */
// oxlint-disable-next-line no-explicit-any -- an assertion on a missing property fails by itself
type Json = any

describe("the API's description", () => {
  let world: TestApp
  let document: Json
  beforeAll(async () => {
    world = await startTestApp({ db: await testDatabase('embedded') })
    document = (await world.api('GET', '/openapi.json')).body
  })
  afterAll(() => world.close())

  const calls = () =>
    Object.entries<Json>(document.paths).flatMap(([path, methods]) =>
      Object.entries<Json>(methods).map(([method, call]) => ({ name: `${method} ${path}`, call })),
    )

  /** Every schema, with where it stands. */
  function schemas(): { at: string; schema: Json }[] {
    const found: { at: string; schema: Json }[] = []
    const look = (node: Json, at: string) => {
      if (typeof node !== 'object' || node === null) return
      if (node.properties !== undefined || node.items !== undefined || node.type !== undefined)
        found.push({ at, schema: node })
      for (const [key, value] of Object.entries(node)) look(value, `${at}/${key}`)
    }
    look(document.paths, '')
    look(document.components.schemas, '')
    return found
  }

  test('is valid OpenAPI 3.1', async () => {
    const { valid, errors } = await new Validator().validate(structuredClone(document))
    expect({ valid, errors }).toEqual({ valid: true, errors: undefined })
    expect(document.openapi).toBe('3.1.0')
  })

  test('says of every call and parameter what it is', () => {
    expect(calls().length).toBeGreaterThan(50)
    const bare = calls().flatMap(({ name, call }) => [
      ...['summary', 'description', 'operationId', 'x-role']
        .filter((key) => !call[key])
        .map((key) => `${name}: ${key}`),
      ...(call.tags?.length === 1 ? [] : [`${name}: tag`]),
      ...(call.summary === call.description ? [`${name}: the description is the summary`] : []),
      ...(call.parameters ?? [])
        .filter((parameter: Json) => !parameter.description)
        .map((parameter: Json) => `${name}: ${parameter.name}`),
      ...Object.entries<Json>(call.responses)
        .filter(([, answer]) => !answer.description || answer.description === 'Default Response')
        .map(([status]) => `${name}: ${status}`),
    ])
    expect(bare).toEqual([])
  })

  test('gives every call a name of its own that a program can have', () => {
    const names = calls().map(({ call }) => call.operationId as string)
    expect(names.filter((name) => !/^[a-z][A-Za-z0-9]*$/.test(name))).toEqual([])
    expect(names.filter((name, index) => names.indexOf(name) !== index)).toEqual([])
  })

  test('says of every field what it is', () => {
    const bare = schemas().flatMap(({ at, schema }) =>
      Object.entries<Json>(schema.properties ?? {})
        .filter(([, field]) => !field.description && !field.$ref)
        .map(([field]) => `${at}: ${field}`),
    )
    expect(bare).toEqual([])
  })

  test('needs nothing that has a default', () => {
    const needed = schemas().flatMap(({ at, schema }) =>
      (schema.required ?? [])
        .filter((name: string) => schema.properties?.[name]?.default !== undefined)
        .map((name: string) => `${at}: ${name}`),
    )
    const parameters = calls().flatMap(({ name, call }) =>
      (call.parameters ?? [])
        .filter((parameter: Json) => parameter.required && parameter.schema.default !== undefined)
        .map((parameter: Json) => `${name}: ${parameter.name}`),
    )
    expect([...needed, ...parameters]).toEqual([])
  })

  test('has a name for everything that is sent or answered as JSON', () => {
    const contents = calls().flatMap(({ name, call }) =>
      [call.requestBody, ...Object.values<Json>(call.responses)]
        .flatMap((part) => Object.entries<Json>(part?.content ?? {}))
        .filter(([type]) => type.endsWith('json'))
        .flatMap(([, { schema }]) => schema.anyOf ?? [schema])
        .map((schema: Json) => ({ name, schema })),
    )
    expect(contents.filter(({ schema }) => schema.$ref === undefined).map(({ name }) => name)).toEqual([])
    expect(Object.values<Json>(document.components.schemas).filter((schema) => !schema.description)).toEqual(
      [],
    )
  })
})
