import { Counter, Gauge, Histogram, Registry, collectDefaultMetrics } from 'prom-client'

/** Everything that is counted. Labels are of low cardinality: never a device, a user or a serial number. */
export interface Metrics {
  /** The Prometheus text of all metrics, and its content type. */
  render(): Promise<{ body: string; contentType: string }>
  /** Events by type and reason. */
  events: Counter<'type' | 'reason'>
  /** Requests answered, by scope, route and status. */
  requests: Histogram<'scope' | 'route' | 'status'>
  /** Pushes by outcome (`accepted` or the reason of the refusal). */
  pushes: Counter<'result'>
  /** Seconds from a push that Apple accepted to the next contact of the device. */
  pushToContact: Histogram
  /** Requests in one group commit. */
  batchSize: Histogram<'statement'>
  /** Seconds until something expires, by kind and name (push certificate topic, and so on). */
  expiresIn: Gauge<'kind' | 'name'>
  /** Runs of background jobs by name and outcome. */
  jobs: Counter<'job' | 'outcome'>
}

const LATENCY = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10]
const MINUTES = [1, 2, 5, 10, 30, 60, 300, 900, 3600, 14400, 86400]

/** Makes the registry with the metrics above and those of the Node process. */
export function createMetrics(): Metrics {
  const registry = new Registry()
  collectDefaultMetrics({ register: registry })
  const registers = [registry]
  return {
    render: async () => ({ body: await registry.metrics(), contentType: registry.contentType }),
    events: new Counter({
      name: 'firstboot_events_total',
      help: 'Events by type and reason.',
      labelNames: ['type', 'reason'],
      registers,
    }),
    requests: new Histogram({
      name: 'firstboot_request_duration_seconds',
      help: 'Time to answer a request.',
      labelNames: ['scope', 'route', 'status'],
      buckets: LATENCY,
      registers,
    }),
    pushes: new Counter({
      name: 'firstboot_pushes_total',
      help: 'Pushes by result.',
      labelNames: ['result'],
      registers,
    }),
    pushToContact: new Histogram({
      name: 'firstboot_push_to_contact_seconds',
      help: 'Time from an accepted push to the next contact of the device.',
      buckets: MINUTES,
      registers,
    }),
    batchSize: new Histogram({
      name: 'firstboot_batch_size',
      help: 'Requests in one group commit.',
      labelNames: ['statement'],
      buckets: [1, 2, 4, 8, 16, 32, 64, 128, 256],
      registers,
    }),
    expiresIn: new Gauge({
      name: 'firstboot_expires_in_seconds',
      help: 'Time until a certificate or token expires.',
      labelNames: ['kind', 'name'],
      registers,
    }),
    jobs: new Counter({
      name: 'firstboot_job_runs_total',
      help: 'Runs of background jobs.',
      labelNames: ['job', 'outcome'],
      registers,
    }),
  }
}
