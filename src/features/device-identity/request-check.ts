import { AppError } from '../../kernel/errors.ts'
import type { FailInfo } from '../../protocol/scep/index.ts'
import type { CertificateRequest } from '../../protocol/x509/index.ts'

const MIN_RSA_BITS = 2048

/** What is wrong with a certificate request itself. */
interface Flaw {
  message: string
  failInfo?: FailInfo
}

/** What is wrong with a certificate request, whoever sent it; undefined when nothing is. */
export function checkRequest(csr: CertificateRequest): Flaw | undefined {
  if (!csr.isSignatureSupported)
    return { message: 'the request is signed with an algorithm that is not supported', failInfo: 'badAlg' }
  const message = checkSignature(csr)
  return message === undefined ? undefined : { message }
}

function checkSignature(csr: CertificateRequest): string | undefined {
  try {
    return csr.verify() ? checkKey(csr) : 'the request is not signed with its own key'
  } catch (error) {
    if (error instanceof AppError && error.code === 'csr_invalid') return error.message
    throw error
  }
}

function checkKey(csr: CertificateRequest): string | undefined {
  const { asymmetricKeyType, asymmetricKeyDetails } = csr.publicKey()
  if (asymmetricKeyType !== 'rsa') return `the key is of type ${asymmetricKeyType}, not RSA`
  const bits = asymmetricKeyDetails?.modulusLength ?? 0
  return bits < MIN_RSA_BITS ? `the key has ${bits} bits, not ${MIN_RSA_BITS} or more` : undefined
}
