import type { FastifyReply, FastifyRequest } from 'fastify'
import { Type } from 'typebox'
import { type AppError, describeError } from '../kernel/errors.ts'

/** Most fields that a problem names, and most characters of a text in it. */
const MAX_FIELDS = 100
const MAX_TEXT = 500

/** The media type of a problem document. */
export const PROBLEM_TYPE = 'application/problem+json'

/** The schema of a problem document (RFC 9457) under the name by which routes refer to it. */
export const problemSchema = Type.Object(
  {
    type: Type.String({ description: 'A URI of this kind of problem; it ends in `code`.' }),
    title: Type.String({ description: 'What `code` means, the same for every occurrence.' }),
    status: Type.Integer({ description: 'The HTTP status.' }),
    detail: Type.String({ description: 'What is wrong in this case.' }),
    code: Type.String({ description: 'A stable name to act on.' }),
    request_id: Type.String({ description: 'Names the log line of this request.' }),
    errors: Type.Optional(
      Type.Array(
        Type.Object({
          path: Type.String({ description: 'The field, its parts separated by dots.' }),
          message: Type.String({ description: 'What is wrong with it.' }),
        }),
        {
          description: 'Bad fields or query parameters, at most 100.',
        },
      ),
    ),
  },
  { $id: 'Problem', description: 'A problem document (RFC 9457).' },
)

/** Answers with the problem document of `error`; what went wrong inside is not told. */
export function sendProblem(error: AppError, request: FastifyRequest, reply: FastifyReply): FastifyReply {
  const { status, text } = describeError(error.code)
  const document = {
    type: `urn:firstboot:problem:${error.code}`,
    title: text,
    status,
    detail: status < 500 ? shorten(error.message) : text,
    code: error.code,
    request_id: request.id,
    ...(error.fields.length > 0 ? { errors: fieldsOf(error) } : {}),
  }
  return reply.code(status).type(PROBLEM_TYPE).send(JSON.stringify(document))
}

/** What is wrong may repeat what was sent, which may be long and much. */
function fieldsOf({ fields }: AppError) {
  return fields
    .slice(0, MAX_FIELDS)
    .map(({ path, message }) => ({ path: shorten(path), message: shorten(message) }))
}

/** A text of an answer that may repeat what was sent. */
export function shorten(text: string): string {
  return text.length <= MAX_TEXT ? text : `${text.slice(0, MAX_TEXT).toWellFormed()}…`
}
