/** Attributes of SCEP messages (RFC 8894, section 3.2.1). */
export const SCEP_OID = {
  messageType: '2.16.840.1.113733.1.9.2',
  pkiStatus: '2.16.840.1.113733.1.9.3',
  failInfo: '2.16.840.1.113733.1.9.4',
  senderNonce: '2.16.840.1.113733.1.9.5',
  recipientNonce: '2.16.840.1.113733.1.9.6',
  transactionId: '2.16.840.1.113733.1.9.7',
  failInfoText: '1.3.6.1.5.5.7.24.1',
} as const

/** Message types by their numbers (RFC 8894, section 3.2.1.2; UpdateReq from its drafts). */
export const MESSAGE_TYPES = {
  CertRep: '3',
  RenewalReq: '17',
  UpdateReq: '18',
  PKCSReq: '19',
  CertPoll: '20',
  GetCert: '21',
  GetCRL: '22',
} as const

/** Answers by their numbers (section 3.2.1.3). */
export const PKI_STATUS = { SUCCESS: '0', FAILURE: '2', PENDING: '3' } as const

/** Reasons of a failure by their numbers (section 3.2.1.4). */
export const FAIL_INFO = {
  badAlg: '0',
  badMessageCheck: '1',
  badRequest: '2',
  badTime: '3',
  badCertId: '4',
} as const

/** What a server can do (section 3.5.2): its digests and ciphers among it. */
export const CAPABILITIES = [
  'Renewal',
  'SHA-256',
  'SHA-512',
  'AES',
  'DES3',
  'SCEPStandard',
  'POSTPKIOperation',
] as const

/** The type of a message; `unknown` for a number that no edition of the standard has. */
export type MessageType = keyof typeof MESSAGE_TYPES | 'unknown'

/** The status of an answer. */
export type PkiStatus = keyof typeof PKI_STATUS

/** Why a request is refused. */
export type FailInfo = keyof typeof FAIL_INFO

/** The name of a number of one of the tables above. */
export function nameOf<Name extends string>(
  table: Readonly<Record<Name, string>>,
  number: string,
): Name | undefined {
  return (Object.keys(table) as Name[]).find((name) => table[name] === number)
}
