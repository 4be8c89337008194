import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type, type Static } from 'typebox'
import { AppError } from '../../../kernel/errors.ts'
import { idParam, text } from '../../../kernel/schema.ts'
import { readSerialList } from './serial-list.ts'
import type { createAssignRequests, AssignRequest } from './requests.ts'

const TAGS = ['ADE devices']
const CSV = 'text/csv'
const MAX_LIST_BYTES = 8 * 1024 * 1024
const MAX_LISTED_SERIALS = 200_000
/** Of a JSON body: the object, its name, the list, and what is in it. */
const MAX_LIST_VALUES = MAX_LISTED_SERIALS + 3

const bySerials = Type.Object(
  {
    serial_numbers: Type.Array(Type.String({ maxLength: 256 }), {
      minItems: 1,
      maxItems: MAX_LISTED_SERIALS,
      description: 'Serial numbers, in any case.',
    }),
  },
  { title: 'SerialNumbers', description: 'Devices by their serial numbers.', additionalProperties: false },
)
const byServer = Type.Object(
  {
    all: Type.Literal(true, { description: 'That all are meant.' }),
    ade_server_id: text('The ADE server whose devices they are.'),
  },
  { title: 'AllOfAdeServer', description: 'All devices of an ADE server.', additionalProperties: false },
)
const devices = Type.Union([bySerials, byServer])

const answer = Type.Object(
  {
    changed: Type.Integer({ description: 'Devices for which this is new; Apple is told in the background.' }),
    unchanged: Type.Integer({ description: 'Devices for which it was so before.' }),
    problems: Type.Array(
      Type.Object({
        serial_number: text('What was asked for.'),
        line: Type.Optional(Type.Integer({ description: 'Of the CSV.' })),
        problem: Type.Enum(['not_a_serial_number', 'unknown', 'not_ours_any_more', 'has_another_policy'], {
          description: 'Why it was not done.',
        }),
      }),
      { description: 'What could not be done.' },
    ),
    will_unenroll: Type.Array(Type.String(), {
      description:
        'Ids of devices that their users enrolled by a link or the page: they are unenrolled, so that they can enrol as the policy says.',
    }),
  },
  { title: 'Assigned', description: 'What the call changed.' },
)

const SUMMARIES = {
  assign: 'Give devices this policy',
  unassign: 'Take this policy from devices',
} as const

/** `/enrollment-policies/{id}/assign` and `/unassign`. */
export function assignmentApi(requests: ReturnType<typeof createAssignRequests>): FastifyPluginAsyncTypebox {
  return async (app) => {
    app.addContentTypeParser(CSV, { parseAs: 'buffer', bodyLimit: MAX_LIST_BYTES }, (_request, body, done) =>
      done(null, body),
    )
    for (const verb of ['assign', 'unassign'] as const) {
      app.post(
        `/enrollment-policies/:id/${verb}`,
        {
          config: { role: 'operator', rawBody: true, maxValues: MAX_LIST_VALUES },
          bodyLimit: MAX_LIST_BYTES,
          schema: {
            tags: TAGS,
            summary: SUMMARIES[verb],
            description:
              'All devices of an ADE server, or those of a list: JSON, or a CSV with a serial number in the first field of each line. What cannot be done is reported, the rest is done.',
            params: idParam('The id of the enrollment policy.'),
            querystring: Type.Object({
              dry_run: Type.Boolean({ default: false, description: 'Only say what would change.' }),
            }),
            body: {
              content: {
                'application/json': { schema: devices },
                [CSV]: {
                  schema: Type.Unknown({ description: 'A serial number in the first field of each line.' }),
                },
              },
            },
            response: { 200: answer, 202: answer },
          },
        },
        async (request, reply) => {
          const asked = await readRequest(request.body)
          const { dry_run: isDry } = request.query
          const granted = await requests[verb](request.params.id, asked, request.act, isDry)
          return reply.code(isDry ? 200 : 202).send(granted)
        },
      )
    }
  }
}

async function readRequest(body: unknown): Promise<AssignRequest> {
  if (Buffer.isBuffer(body)) return csvOf(body)
  if (typeof body !== 'object' || body === null) throw empty()
  const wanted = body as Static<typeof devices>
  if ('all' in wanted) return { adeServerId: wanted.ade_server_id }
  return { isCsv: false, serials: wanted.serial_numbers.map((serial) => ({ serial, line: 0 })) }
}

async function csvOf(body: Buffer): Promise<AssignRequest> {
  const serials = await readSerialList(body.toString('utf8'), MAX_LISTED_SERIALS)
  if (serials.length === 0) throw empty()
  if (serials.length > MAX_LISTED_SERIALS) {
    throw new AppError('too_many_values', `The list has more than ${MAX_LISTED_SERIALS} serial numbers.`)
  }
  return { isCsv: true, serials }
}

function empty(): AppError {
  return new AppError('invalid_request', 'There is no serial number: the body is empty.')
}
