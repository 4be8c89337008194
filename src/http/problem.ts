import type { FastifyReply, FastifyRequest } from 'fastify'
import { Type } from 'typebox'
import { type AppError, describeError } from '../kernel/errors.ts'
import { jsonPointer } from '../kernel/json.ts'

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
          pointer: Type.Optional(
            Type.String({ description: 'The place in the body (RFC 6901); empty: the body as a whole.' }),
          ),
          detail: Type.Optional(Type.String({ description: 'What is wrong there.' })),
          path: Type.Optional(
            Type.String({
              description: 'The field or query parameter, where it has a name; parts are separated by dots.',
            }),
          ),
          message: Type.Optional(Type.String({ description: 'What is wrong with it.' })),
        }),
        { description: 'Bad places of the body, and bad query parameters, at most 100.' },
      ),
    ),
    used_by: Type.Optional(
      Type.Array(
        Type.Object({
          kind: Type.String({ description: 'What it is.' }),
          id: Type.String({ description: 'Its id.' }),
          name: Type.String({ description: 'Its name.' }),
        }),
        { description: 'With `in_use`: what names the thing, at most 100.' },
      ),
    ),
    devices: Type.Optional(
      Type.Array(
        Type.Object({
          device_id: Type.String({ description: 'The device.' }),
          reasons: Type.Array(Type.String(), { description: 'Why the command is not for it.' }),
          details: Type.Array(Type.String(), { description: 'The same in sentences.' }),
        }),
        { description: 'With `command_unsuited`: which devices it does not suit, at most 100.' },
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
    ...errorsOf(error, hasBody(request, status)),
    ...(error.usedBy.length > 0 ? { used_by: error.usedBy.slice(0, MAX_FIELDS) } : {}),
    ...(error.unsuited.length > 0 ? { devices: error.unsuited.slice(0, MAX_FIELDS) } : {}),
  }
  return reply.code(status).type(PROBLEM_TYPE).send(JSON.stringify(document))
}

/** Whether it is the body that was refused. */
function hasBody({ method }: FastifyRequest, status: number): boolean {
  return (status === 400 || status === 422) && ['POST', 'PUT', 'PATCH'].includes(method)
}

/** What is wrong may repeat what was sent, which may be long and much. Of a body there is always told where. */
function errorsOf({ fields, faults, message: whole }: AppError, isOfBody: boolean) {
  const errors = [
    ...fields.map(({ path, message, pointer = jsonPointer(path.split('.')) }) => ({
      ...(pointer !== null && { pointer: shorten(pointer), detail: shorten(message) }),
      ...{ path: shorten(path), message: shorten(message) },
    })),
    ...faults.map(({ pointer, detail }) => ({ pointer: shorten(pointer), detail: shorten(detail) })),
    ...(fields.length + faults.length === 0 && isOfBody ? [{ pointer: '', detail: shorten(whole) }] : []),
  ]
  return errors.length === 0 ? {} : { errors: errors.slice(0, MAX_FIELDS) }
}

/** A text of an answer that may repeat what was sent. */
export function shorten(text: string): string {
  return text.length <= MAX_TEXT ? text : `${text.slice(0, MAX_TEXT).toWellFormed()}…`
}
