import { Counter, Gauge, Histogram, Registry, collectDefaultMetrics } from 'prom-client'

/** Everything that is counted. Labels are of low cardinality: never a device, a user or a serial number. */
export type Metrics = ReturnType<typeof createMetrics>

const LATENCY = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10]
const BATCH_SIZES = [1, 2, 4, 8, 16, 32, 64, 128, 256]
const MINUTES = [1, 2, 5, 10, 30, 60, 300, 900, 3600, 14400, 86400]

/** Makes the registry with the metrics above and those of the Node process. `version` is that of the program. */
export function createMetrics(version = '') {
  const registry = new Registry()
  collectDefaultMetrics({ register: registry })
  const registers = [registry]
  const gauge = <Label extends string>(name: string, help: string, ...labelNames: Label[]) =>
    new Gauge({ name, help, labelNames, registers })
  const counter = <Label extends string>(name: string, help: string, ...labelNames: Label[]) =>
    new Counter({ name, help, labelNames, registers })
  const histogram = <Label extends string>(
    name: string,
    help: string,
    buckets: number[],
    ...labelNames: Label[]
  ) => new Histogram({ name, help, buckets, labelNames, registers })
  gauge('firstboot_build_info', 'The version that runs; always 1.', 'version').set({ version }, 1)
  let refresh = (): Promise<void> => Promise.resolve()
  return {
    /** The Prometheus text of all metrics, and its content type. */
    async render() {
      await refresh()
      return { body: await registry.metrics(), contentType: registry.contentType }
    },
    /** Is called before the metrics are rendered, which waits for it. */
    onRender: (given: () => Promise<void>) => void (refresh = given),
    /** Numbers of the moment, read when they are asked for. */
    gauges: {
      devices: gauge('firstboot_devices', 'Devices by state.', 'state'),
      commands: gauge('firstboot_commands', 'Commands that wait, by state, one for each device.', 'state'),
      adeDevices: gauge('firstboot_ade_devices', 'Serial numbers from Apple by state.', 'state'),
      adeAssignments: gauge(
        'firstboot_ade_assignments',
        'Serial numbers by where the assignment of their policy stands at Apple.',
        'state',
      ),
      adeLastSync: gauge(
        'firstboot_ade_last_sync_timestamp_seconds',
        'When the last sync with Apple succeeded; of several ADE servers, that which is longest ago.',
      ),
      databasePool: gauge(
        'firstboot_database_pool',
        'Connections to the database, and who waits for one.',
        'state',
      ),
      expiresIn: gauge(
        'firstboot_expires_in_seconds',
        'Time until tokens of ADE servers expire, and the push certificate that expires first.',
        'kind',
        'name',
      ),
      subscriptionLag: gauge(
        'firstboot_subscription_lag',
        'Events that something inside the server has still to look at.',
        'subscription',
      ),
      subscriptionStuck: gauge(
        'firstboot_subscription_stuck',
        'Events that it has set aside after ten tries.',
        'subscription',
      ),
    },
    /** Events by type and reason. */
    events: counter(
      'firstboot_events_total',
      'Events by type and reason; one that stands for several devices counts each of them.',
      'type',
      'reason',
    ),
    /** Requests answered, by scope, route and status. */
    requests: histogram(
      'firstboot_request_duration_seconds',
      'Time to answer a request.',
      LATENCY,
      'scope',
      'route',
      'status',
    ),
    /** Pushes by outcome (`accepted` or the reason of the refusal). */
    pushes: counter('firstboot_pushes_total', 'Pushes by result.', 'result'),
    /** Seconds from a push that Apple accepted to the next contact of the device. */
    pushToContact: histogram(
      'firstboot_push_to_contact_seconds',
      'Time from an accepted push to the next contact of the device.',
      MINUTES,
    ),
    /** Requests in one group commit. */
    batchSize: histogram('firstboot_batch_size', 'Requests in one group commit.', BATCH_SIZES, 'statement'),
    /** Runs of background jobs by name and outcome. */
    jobs: counter('firstboot_job_runs_total', 'Runs of background jobs.', 'job', 'outcome'),
  }
}
