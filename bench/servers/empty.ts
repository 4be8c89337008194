import fastify from 'fastify'
import { answerBench } from './protocol.ts'

/** The ceiling: a Fastify handler that reads the body and does nothing. */
const app = fastify({ logger: false })
app.addContentTypeParser('*', { parseAs: 'buffer' }, (_request, body, done) => done(null, body))
app.put('/mdm/connect', (_request, reply) => reply.code(200).send())
app.put('/mdm/checkin', (_request, reply) => reply.code(200).send())
const address = await app.listen({ host: '127.0.0.1', port: 0 })
answerBench({ port: Number(new URL(address).port), stop: () => app.close() })
