import type { FastifyRequest } from 'fastify'
import type { Readable } from 'node:stream'
import type { Proof } from '../features/device-identity/index.ts'
import { AppError } from '../kernel/errors.ts'

/** The largest body of anybody; larger ones are for those who have shown who they are. */
const SMALL_BODY_BYTES = 64 * 1024
const LARGEST_BODY_BYTES = 16 * 1024 * 1024
/** Of all large bodies that are read or answered at a time. */
const LARGE_IN_FLIGHT_BYTES = 256 * 1024 * 1024

/** Finds who sends a request, before its body is read. */
type Prove = (request: FastifyRequest) => Promise<Proof | undefined>

/** Takes a piece of a large body that was let in; its bytes count until the request is answered. */
type Take = (chunk: Buffer) => void

/**
 * Reads the bodies of the device scope, piece by piece, into no more memory than has come. Those of up to 64 KB are read
 * whoever sends them. Larger ones, where the route takes any, are those of a sender who shows before that to be ours, up to
 * 16 MB (`payload_too_large`), and 256 MB of all together (`overloaded`); who that is is left in `request.proof`.
 */
export function createDeviceBodies({ prove }: { prove: Prove }) {
  let inFlight = 0

  /** `bytes`: how long the body says to be, or has become. */
  async function admit(request: FastifyRequest, bytes: number): Promise<Take> {
    const proof = await prove(request)
    if (proof === undefined) throw new AppError('payload_too_large')
    if (inFlight + bytes > LARGE_IN_FLIGHT_BYTES) throw tooMany()
    const { response } = request
    if (response.closed) throw gone()
    let held = 0
    const release = () => {
      inFlight -= held
      held = 0
    }
    response.once('finish', release).once('close', release)
    request.proof = proof
    return (chunk) => {
      if (response.closed) throw gone()
      held += chunk.length
      inFlight += chunk.length
      if (inFlight > LARGE_IN_FLIGHT_BYTES) throw tooMany()
      proof.body?.update(chunk)
    }
  }

  return async (request: FastifyRequest, payload: Readable): Promise<Buffer> => {
    const limit = request.routeOptions.config.largeBodies === true ? LARGEST_BODY_BYTES : SMALL_BODY_BYTES
    const declared = Number(request.headers['content-length'] ?? 0)
    if (declared > limit) throw new AppError('payload_too_large')
    const take = declared > SMALL_BODY_BYTES ? await admit(request, declared) : undefined
    return collect(payload, { limit, take, admit: (bytes) => admit(request, bytes) })
  }
}

function gone(): AppError {
  return new AppError('invalid_request', 'The client went away.')
}

function tooMany(): AppError {
  return new AppError('overloaded', 'Too many large bodies come at once.')
}

function collect(
  payload: Readable,
  options: { limit: number; take: Take | undefined; admit: (bytes: number) => Promise<Take> },
): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = []
    let size = 0
    let { take } = options

    function stop(): void {
      payload.off('data', onData).off('end', onEnd).off('error', onError)
    }

    function onEnd(): void {
      stop()
      resolve(Buffer.concat(chunks, size))
    }

    function onError(error: Error): void {
      stop()
      // What broke off was its sender's doing.
      reject(
        error instanceof AppError ? error : new AppError('invalid_request', error.message, { cause: error }),
      )
    }

    function count(...pieces: Buffer[]): void {
      try {
        pieces.forEach((piece) => take?.(piece))
      } catch (error) {
        onError(error as Error)
      }
    }

    /** A body that does not tell its length has become a large one. */
    function grow(): void {
      payload.pause()
      options.admit(size).then((admitted) => {
        take = admitted
        count(...chunks)
        payload.resume()
      }, onError)
    }

    function onData(chunk: Buffer): void {
      size += chunk.length
      chunks.push(chunk)
      if (size > options.limit) onError(new AppError('payload_too_large'))
      else if (take !== undefined) count(chunk)
      else if (size > SMALL_BODY_BYTES) grow()
    }

    payload.on('data', onData).on('end', onEnd).on('error', onError)
  })
}
