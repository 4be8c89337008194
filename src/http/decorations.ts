import type { ServerResponse } from 'node:http'
import type { Credentials, Proof } from '../features/device-identity/index.ts'
import type { Operator, Role } from '../features/operators/index.ts'
import type { Act, Asked } from '../kernel/act.ts'
import type { AppError } from '../kernel/errors.ts'

declare module 'fastify' {
  interface FastifyContextConfig {
    /** The least role that may call an operator route; one without it fails the start. */
    role?: Role
    /** NanoMDM's API: whether anyone may call, without a password. */
    open?: boolean
    /** Whether the address may hold a parameter of any length that a header has room for. */
    longParams?: boolean
    /** Whether the token may come by Basic authentication too, so that a browser can open the address. */
    basic?: boolean
    /** Whether programs ask again and again here, so that an answer is no line of the log. */
    polled?: boolean
    /** Whether a change here heeds If-Match (for the API's description). */
    etag?: boolean
    /** Most values and names in a JSON body, where it is more than the usual number. */
    maxValues?: number
    /** Device scope: whether those who show to be ours may send bodies of more than 64 KB, up to 16 MB. */
    largeBodies?: boolean
    /** Whether the route takes a body that is not JSON; it brings its own content type parsers. */
    rawBody?: boolean
  }

  interface FastifyRequest {
    /** Leaves the body of this request, whose sender is known, all the time that it takes. */
    allowLongBody: () => void
    /** Who calls an operator route. */
    operator: Operator
    /** What the audit trail tells of the request. */
    asked: Asked
    /** What an operator asks for with the request: the change that it makes, of the versions that If-Match names. */
    readonly act: Act
    /**
     * The certificate (DER) that the device proved to own in the TLS handshake with us or with a trusted proxy;
     * undefined when there is none. It may be anyone's: nothing but its possession has been checked.
     */
    readonly clientCertificate: Buffer | undefined
    /** Whether the token of who calls an operator route still lets them; rejects when nobody can say. */
    isStillAllowed(): Promise<boolean>
    /** Throws AppError `forbidden` when who calls has a lesser role than this one. */
    requireRole(role: Role): void
    /** Device scope: what the request shows of its sender. */
    readonly credentials: Credentials
    /** Device scope: who sends a body of more than 64 KB; undefined for others. */
    proof: Proof | undefined
    /** Device scope: what ends when the request has been answered or given up. */
    response: ServerResponse
    /** What the request was refused with, for the log line. */
    refusal: AppError | null
    /** Enroll scope: counts a failure of this address. Call it before refusing; too many of them are answered 429. */
    noteFailure(): void
  }
}
