import { wordSet } from '../../kernel/words.ts'

// Reasons of Apple's push service (Apple: "Handling notification responses from APNs"), by what follows from them.

/** The token is of no use for this topic: the device is not pushed to until it sends another one. */
export const TOKEN_BAD = new Set(['BadDeviceToken', 'DeviceTokenNotForTopic'])

/** The certificate or its topic is refused: nothing is pushed with it. */
export const CONFIG_ERRORS = wordSet(`
  BadTopic MissingTopic TopicDisallowed BadCertificate BadCertificateEnvironment Forbidden
  ExpiredProviderToken InvalidProviderToken MissingProviderToken
`)

/** The connection is of no further use. */
export const CONNECTION_ENDS = new Set(['IdleTimeout', 'Shutdown'])
