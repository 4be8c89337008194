import type { Config } from './config/config.ts'
import type { Secrets } from './config/secrets.ts'
import { migrateToLatest, openDatabase, type Db } from './db/index.ts'
import { adeApi, createAde } from './features/ade/index.ts'
import { attemptsApi, createAttempts, createStrangers, explainReason } from './features/attempts/index.ts'
import { commandsApi, commandTypesApi, createCommands, deviceCommandsApi } from './features/commands/index.ts'
import { createDeclarationHook } from './features/declarations/index.ts'
import { createDeviceIdentity } from './features/device-identity/index.ts'
import { createDevices, devicesApi } from './features/devices/index.ts'
import {
  createEnrollmentPolicies,
  enrollmentPoliciesApi,
  type EnrollmentPolicies,
} from './features/enrollment-policies/index.ts'
import {
  ACT_FACTS,
  actsApi,
  createEnrollment,
  enrollmentApi,
  NAMING_FACTS,
} from './features/enrollment/index.ts'
import { createLinks, entryRoutes, linkRoutes, linksApi, profileIdentifier } from './features/entry/index.ts'
import { approvalsApi, createGovernor, governorApi } from './features/governor/index.ts'
import {
  createEvents,
  createOutlets,
  createSubscriptions,
  eventsApi,
  eventStreamApi,
  webhooksApi,
} from './features/events/index.ts'
import { createExplain, explainApi } from './features/explain/index.ts'
import { createGroups, GROUP_FACTS, groupsApi, type Groups } from './features/groups/index.ts'
import { authProxyRoutes, createMdmEndpoints } from './features/mdm-endpoints/index.ts'
import { createInventory, INVENTORY_FACTS } from './features/inventory/index.ts'
import { escrowApi, migrationApi, nanomdmApi } from './features/nanomdm/index.ts'
import {
  apiTokensApi,
  auditApi,
  createAudit,
  createIdempotencyKeys,
  createOperators,
} from './features/operators/index.ts'
import { createPush, pushCertificatesApi } from './features/push/index.ts'
import {
  appRoutes,
  appsApi,
  createApps,
  createPackageFiles,
  createPackages,
  contentsApi,
  createContents,
  createDeliveries,
  createPredictions,
  createProfilesAndSecrets,
  createRollouts,
  DELIVERY_FACTS,
  deliveriesApi,
  predictionsApi,
  rolloutsApi,
  profilesApi,
  secretsApi,
} from './features/rollout/index.ts'
import { createSetupRelease, RELEASE_FACTS } from './features/setup-release/index.ts'
import { createSettings, openInstance, resealInstance, settingsApi } from './features/settings/index.ts'
import { createSignin, signinApi, type Signin } from './features/signin/index.ts'
import { statusApi } from './features/status/index.ts'
import { createUsers, usersApi } from './features/users/index.ts'
import { createHttp } from './http/index.ts'
import { fillGauges } from './gauges.ts'
import { jobs } from './jobs.ts'
import { systemClock, type Clock } from './kernel/clock.ts'
import { createHttpClient } from './kernel/http-client.ts'
import type { Log } from './kernel/log.ts'
import { startLoops } from './kernel/loops.ts'
import { createMetrics } from './kernel/metrics.ts'
import { createSecretBox } from './kernel/secret-box.ts'
import { createThreadPool } from './kernel/threads.ts'
import { createMachineInfoTrust } from './protocol/ade/index.ts'
import { createMessageReader, messageWorkerScript } from './protocol/mdm/index.ts'
import { createIpaReader, ipaWorkerScript } from './protocol/ipa/index.ts'
import { createReseal } from './reseal.ts'
import { makePartitions } from './retention.ts'
import { parseCertificate, readPem } from './protocol/x509/index.ts'
import { version } from './version.ts'

/** Threads for messages too large to be read on the event loop. */
const READER_THREADS = 1
/** Megabytes for a reader thread: many times what the largest list of apps takes, and no more for what is made to grow. */
const READER_LIMITS = { maxOldGenerationSizeMb: 512, maxYoungGenerationSizeMb: 16 }
/** The same for the thread that reads packages: an Info.plist has some kilobytes, the list of an archive's files some megabytes. */
const IPA_LIMITS = { maxOldGenerationSizeMb: 256, maxYoungGenerationSizeMb: 16 }
/** Apple may take as long for a page of serial numbers as a sync has in all; such a page has some hundred kilobytes. */
const ADE_TIMEOUT_MS = 10 * 60_000
const ADE_MAX_BYTES = 32 * 1024 * 1024
/** A device waits for its answer meanwhile; the largest that it takes has some megabytes. */
const COMPANION_LIMITS = { timeoutMs: 20_000, maxBytes: 8 * 1024 * 1024 }
/** Phones whose certificates were found to be Apple's and are not looked into again. */
const TRUSTED_PHONES = 10_000
const userAgent = `Firstboot/${version}`

/** A running server. */
export interface App {
  /** Where it listens. */
  addresses: { main: string; operator: string }
  /** Takes the TLS files as they are now. */
  reloadTls(): void
  /** Drains: nothing new is taken, what runs is answered, jobs end, the database is closed. */
  close(): Promise<void>
}

/** What a server is started with; a test brings its own clock. */
interface AppOptions {
  config: Config
  secrets: Secrets
  log: Log
  clock?: Clock
  /** An open database instead of the one that the settings name; it is closed with the server. */
  db?: Db
}

/** Starts the server. Everything is built here, in the order in which the parts use each other. */
export async function startApp(options: AppOptions): Promise<App> {
  const { config, secrets, log, clock = systemClock } = options
  const db =
    options.db ??
    (await openDatabase({
      ...(secrets.databaseUrl !== null && { url: secrets.databaseUrl }),
      dataDir: config.dataDir,
      log,
    }))
  try {
    return await assemble({ config, secrets, log, clock }, db)
  } catch (error) {
    await db.close()
    throw error
  }
}

async function assemble(options: Required<Omit<AppOptions, 'db'>>, db: Db): Promise<App> {
  const { config, secrets, log, clock } = options
  const migrated = await migrateToLatest(db)
  if (migrated.length > 0) {
    log.info(
      { event: 'database.migrated', migrations: migrated.length },
      'the database has the tables of this version',
    )
  }
  await makePartitions(db, clock)
  const metrics = createMetrics(version)
  const secretBox = createSecretBox({ key: secrets.secretKey, previous: secrets.previousSecretKey })
  const instanceId = await openInstance({ db, clock, secretBox })
  const threads = createThreadPool({
    script: messageWorkerScript,
    size: READER_THREADS,
    limits: READER_LIMITS,
  })
  const reader = createMessageReader(threads)
  const enrollmentIdentifier = profileIdentifier(instanceId)
  const own = { publicUrl: config.publicUrl, instanceId, enrollmentIdentifier }
  const base = { db, clock, log, metrics, secretBox, ...own }

  const events = createEvents({ ...base, explainReason })
  const governor = createGovernor({ ...base, events })
  const settings = createSettings({ ...base, events })
  const devices = createDevices({ ...base, reader })
  const users = createUsers({ ...base, events, settings })
  const operators = createOperators({ ...base, events })
  const audit = createAudit({ ...base, events, whose: operators.whose })
  const idempotencyKeys = createIdempotencyKeys(base)
  const attempts = createAttempts({ ...base, events })
  const strangers = createStrangers({ ...base, events })
  const service = { url: config.apns.url, ...(config.apns.caPem !== null && { ca: config.apns.caPem }) }
  const push = createPush({ ...base, events, devices, box: secretBox, service })
  const commands = createCommands({ ...base, events, governor, devices, push })
  const inventory = createInventory({ ...base, events, settings, devices, push, commands, reader })
  commands.answers.follow('inventory', inventory.takeIn)
  const identity = createDeviceIdentity({ ...base, events, attempts, strangers, deviceCa: secrets.deviceCa })
  const signin: Signin = createSignin({ ...base, events, users, userAgent })
  const groups: Groups = createGroups({ ...base, events, governor, devices })
  const policies: EnrollmentPolicies = createEnrollmentPolicies({ ...base, events, groups, signin })
  const apple = createHttpClient({
    ...(config.ade.caPem !== null && { caPem: config.ade.caPem }),
    timeoutMs: ADE_TIMEOUT_MS,
    maxBytes: ADE_MAX_BYTES,
    userAgent,
    clock,
  })
  const atApple = { http: apple, service: { url: config.ade.url } }
  const ade = createAde({ ...base, events, governor, policies, devices, ...atApple })
  const ipaThreads = createThreadPool({ script: ipaWorkerScript, size: 1, limits: IPA_LIMITS })
  const apps = createApps({ ...base, events })
  const packages = createPackages({
    ...base,
    apps,
    files: createPackageFiles({ dataDir: config.dataDir, instanceId }),
    ipa: createIpaReader(ipaThreads),
    limit: async () => (await settings.get()).package_max_bytes,
  })
  const profilesAndSecrets = createProfilesAndSecrets({ ...base, events, settings, identity })
  const { profiles, secrets: secretValues } = profilesAndSecrets
  const contents = createContents({ ...base, events, groups })
  const shelves = { contents, profiles, apps, secrets: secretValues }
  const deliveries = createDeliveries({ ...base, ...shelves, events, commands, inventory, devices })
  const predictions = createPredictions({ ...base, contents, groups, devices })
  const rollouts = createRollouts({ ...base, events, groups, profiles, apps })
  commands.answers.follow('delivery', deliveries.engine.answered)
  const links = createLinks({ ...base, events, users, groups })
  const parts = {
    ...base,
    events,
    governor,
    settings,
    users,
    attempts,
    strangers,
    devices,
    push,
    commands,
    inventory,
    identity,
    links,
    signin,
    groups,
    policies,
    ade,
    apps,
    packages,
    profiles,
    contents,
    deliveries,
    predictions,
    rollouts,
  }
  const enrollment = createEnrollment(parts)
  const subscriptions = createSubscriptions({ ...base, events })
  const outlets = createOutlets({ ...base, events, userAgent, allowPrivate: config.allowPrivateWebhooks })
  const setupRelease = createSetupRelease({ ...parts, contents: deliveries })
  await subscriptions.subscribe('groups', GROUP_FACTS, groups.membership.follow)
  await subscriptions.subscribe('deliveries', DELIVERY_FACTS, deliveries.engine.follow)
  await subscriptions.subscribe('enrollment.first_steps', ['device.enrolled'], enrollment.takeFirstSteps)
  await subscriptions.subscribe('inventory', INVENTORY_FACTS, inventory.follow)
  await subscriptions.subscribe('enrollment.names', NAMING_FACTS, enrollment.followNames)
  await subscriptions.subscribe('enrollment.acts', ACT_FACTS, enrollment.followForActs)
  commands.answers.follow('act', enrollment.takeInActs)
  await subscriptions.subscribe('setup_release', RELEASE_FACTS, setupRelease.follow)
  await subscriptions.subscribe(
    'ade.policies',
    ['policy.created', 'policy.updated', 'policy.deleted'],
    async () => ade.policyChanged(),
  )
  const companion = createHttpClient({ ...COMPANION_LIMITS, userAgent, clock })
  const { declarationUrl: url, authProxyUrl, clientCertHeader } = config
  const asking = { keys: secrets.declarationKeys, http: companion }
  const declarations = url === null ? null : createDeclarationHook({ url, ...asking })
  const mdm = createMdmEndpoints({ ...parts, ...outlets, reader, enrollment, setupRelease, declarations })
  await identity.authority.ready()
  await operators.ensureAdminToken(secrets.adminToken, { isGiven: secrets.adminTokenFile === null })

  const trust = createMachineInfoTrust({
    mode: config.machineInfo.trust,
    caCertificates: readPem(config.machineInfo.caPem ?? '').map(({ der }) => parseCertificate(der)),
    remember: TRUSTED_PHONES,
  })

  const http = await createHttp({
    config,
    version,
    log,
    metrics,
    clock,
    authenticate: operators.authenticate,
    prove: identity.prove,
    idempotencyKeys,
    audit,
    callsPerSecond: async () => (await settings.get()).calls_per_token_per_second,
    ready,
    scopes: {
      device: [
        mdm.routes,
        authProxyRoutes({ ...parts, http: companion, url: authProxyUrl, clientCertHeader }),
        identity.routes,
        appRoutes(parts),
      ],
      enroll: [linkRoutes({ ...parts, currentTopic }), entryRoutes({ ...parts, trust })],
      operator: [
        devicesApi(parts),
        enrollmentApi(parts),
        actsApi(parts),
        commandsApi(parts),
        commandTypesApi(),
        deviceCommandsApi(parts),
        linksApi(parts),
        attemptsApi(parts),
        adeApi(parts),
        enrollmentPoliciesApi(parts),
        groupsApi(parts),
        appsApi(parts),
        contentsApi(parts),
        deliveriesApi(parts),
        predictionsApi(parts),
        rolloutsApi(parts),
        profilesApi(profilesAndSecrets),
        secretsApi(profilesAndSecrets),
        signinApi(parts),
        pushCertificatesApi(push),
        usersApi(parts),
        settingsApi(parts),
        governorApi(parts),
        approvalsApi(parts),
        eventsApi(parts),
        eventStreamApi(outlets),
        webhooksApi(outlets),
        apiTokensApi({ operators }),
        auditApi({ audit }),
        statusApi({ ...parts, version }),
        explainApi(createExplain(parts)),
      ],
      nanomdm: [
        nanomdmApi({
          ...parts,
          version,
          deviceCertificate: (id) => identity.activeCertificate(db.kysely, id),
          unlockToken: (row) =>
            row.unlock_token === null ? undefined : enrollment.openUnlockToken(row.id, row.unlock_token),
        }),
        migrationApi({ reader, enrollment }),
        escrowApi({ ...parts, userAgent, escrow: config.escrow }),
      ],
    },
  })
  const reseal = createReseal({
    ...base,
    isRotating: secrets.previousSecretKey !== null,
    finish: () => resealInstance(base),
  })
  fillGauges({ ...parts, subscriptions })
  const addresses = await http.listen()
  const loops = startLoops({
    jobs: jobs({
      ...parts,
      subscriptions,
      ...outlets,
      enrollment,
      setupRelease,
      idempotencyKeys,
      operators,
      audit,
      reseal,
    }),
    clock,
    log,
    metrics,
  })

  async function ready(): Promise<string[]> {
    await db.ping()
    return (await subscriptions.states()).flatMap(({ name, stuck }) =>
      stuck > 0 ? [`subscription ${name}: ${stuck} events set aside`] : [],
    )
  }

  async function currentTopic(): Promise<string | null> {
    return (await push.certificates.current())?.topic ?? null
  }

  async function close(): Promise<void> {
    await http.close()
    await loops.stop()
    await governor.close()
    await audit.close()
    await events.close()
    await subscriptions.close()
    await outlets.webhookDelivery.close()
    await commands.answers.close()
    await deliveries.engine.close()
    await groups.membership.close()
    await setupRelease.close()
    await ade.close()
    apple.close()
    companion.close()
    signin.close()
    await push.close()
    await mdm.idle()
    await strangers.flush()
    await devices.flush()
    await operators.flushLastUsed()
    await profilesAndSecrets.close()
    await identity.close()
    await threads.close()
    await ipaThreads.close()
    await db.close()
  }

  return { addresses, reloadTls: http.reloadTls, close }
}
