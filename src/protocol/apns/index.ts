export { writeCertificateRequest } from './certificate-request.ts'
export { MAX_PAYLOAD_BYTES, buildApnsRequest } from './request.ts'
export { readApnsAnswer, type ApnsOutcome } from './response.ts'
export { createApnsSession, type ApnsSession } from './session.ts'
