export {
  findHash,
  findSignatureScheme,
  keyFor,
  hashAlgorithm,
  readHash,
  readSignatureScheme,
  sign,
  signatureAlgorithm,
  verifySignature,
} from './algorithms.ts'
export type { HashName, SignatureScheme } from './algorithms.ts'
export { readPemBundle, readPemCertificates, type Bundle } from './bundle.ts'
export { fingerprintOf, parseCertificate, type Certificate } from './certificate.ts'
export { verifyChain } from './chain.ts'
export { createCsr, parseCsr, type CertificateRequest } from './csr.ts'
export type { AlternativeName } from './extensions.ts'
export { createLeaf, createSelfSignedCa, issueCertificate, validity } from './issue.ts'
export type { CertificateTemplate, Identity } from './issue.ts'
export { generateEcKey, generateRsaKey, keyMatches, keyToPem, spkiOf } from './keys.ts'
export { formatName, nameAttribute, type NameInput } from './name.ts'
export { readPem, writePem } from './pem.ts'
export { readPkcs12 } from './pkcs12.ts'
