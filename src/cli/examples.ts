import type { Thing, Verb } from './verb.ts'

/** What people type every day, by the words of the verb. */
const TYPED: Readonly<Record<string, readonly string[]>> = {
  serve: ['FIRSTBOOT_PORT=9000 firstboot serve'],
  simulate: ['firstboot simulate --devices 3 --setup'],
  login: ['firstboot login prod --url https://mdm.example.org --token-file -', 'firstboot login prod'],
  completion: [
    'source <(firstboot completion bash)',
    'firstboot completion fish > ~/.config/fish/completions/firstboot.fish',
  ],
  status: ['firstboot status', 'firstboot status --output json'],
  explain: ['firstboot explain F0STORY0001', 'firstboot explain Anna’s iPhone'],
  'devices list': ['firstboot devices list --user ada', 'firstboot devices list --since 7d --output json'],
  'devices unenroll': ['firstboot devices unenroll F0STORY0001 --wait'],
  'commands send': [
    'firstboot commands send --type DeviceLock --device F0STORY0001 --wait',
    `firstboot commands send --type RestartDevice --group iPads --not-before 12h`,
  ],
  'enrollment-attempts list': ['firstboot enrollment-attempts list --since 1d --outcome rejected'],
  'enrollment-policies create': [
    `firstboot enrollment-policies create Sales --json '{"user_affinity": "prompt"}'`,
  ],
  'enrollment-policies assign': [
    'firstboot enrollment-policies assign Sales --serial-number F0STORY0001 --dry-run',
  ],
  'groups create': [
    `firstboot groups create iPads --rule '{"fact": "platform", "op": "eq", "value": "ipados"}'`,
  ],
  'groups put-contents': ['firstboot groups put-contents iPads --profile Wi-Fi --dry-run'],
  'rollouts start': ['firstboot rollouts start --profile Wi-Fi --percent 10,100 --advance-after 120'],
  'events follow': ['firstboot events follow --type enrollment.rejected'],
  logout: ['firstboot logout prod'],
  'devices lost-mode': ['firstboot devices lost-mode F0STORY0001 on --message "Please call us"'],
  'devices rename': ['firstboot devices rename F0STORY0001 Lobby'],
  'enrollment-links create': ['firstboot enrollment-links create --uses 3 --user ada --expires-at 7d'],
  'enrollment-policies update': [
    `firstboot enrollment-policies update Sales --json '{"description": "Phones"}'`,
  ],
  'enrollment-policies unassign': [
    'firstboot enrollment-policies unassign Sales --serial-number F0STORY0001',
  ],
  'groups preview': [`firstboot groups preview --rule '{"fact": "user_name", "op": "eq", "value": "ada"}'`],
  'groups update': [
    `firstboot groups update iPads --rule '{"fact": "platform", "op": "eq", "value": "ipados"}'`,
  ],
  'groups rename': ['firstboot groups rename iPads Tablets'],
  'profiles upload': ['firstboot profiles upload wifi.mobileconfig'],
  'profiles replace': ['firstboot profiles replace Wi-Fi wifi-2.mobileconfig --rollout'],
  'profiles rename': ['firstboot profiles rename Wi-Fi WLAN'],
  'secrets put': ['pass show wifi | firstboot secrets put wifi --value-file -'],
  'secrets delete': ['firstboot secrets delete wifi'],
  'apps create': ['firstboot apps create Pages --store-id 361309726'],
  'apps upload': ['firstboot apps upload Pages pages.ipa'],
  'apps update': ['firstboot apps update Pages --name Writer'],
  'predictions get': ['firstboot predictions get --serial-number F0STORY0001'],
  'changes get': ['firstboot changes get 01a211f7-6ab7-72b1-998e-92c321710e00'],
  'changes stop': ['firstboot changes stop 01a211f7-6ab7-72b1-998e-92c321710e00'],
  'ade-servers create': ['firstboot ade-servers create Phones'],
  'ade-servers rename': ['firstboot ade-servers rename Phones Tablets'],
  'ade-servers token': ['firstboot ade-servers token Phones token.p7m --apple-id admin@example.org'],
  'ade-devices release': ['firstboot ade-devices release F0STORY0001 --confirm F0STORY0001'],
  'push-certificates put': ['firstboot push-certificates put push.pem push.key.pem'],
  'sign-in-sources create': [
    'firstboot sign-in-sources create Entra --kind ws_trust --endpoint https://sts.example.org/mex',
  ],
  'sign-in-sources update': ['firstboot sign-in-sources update Entra --create-users false'],
  'sign-in-sources test': ['firstboot sign-in-sources test Entra ada --password-file -'],
  'users create': ['firstboot users create ada --device-limit 3'],
  'users update': ['firstboot users update ada --device-limit none'],
  'api-tokens create': ['firstboot api-tokens create ci --role viewer --expires-at 90d'],
  'governor set': ['firstboot governor set erase.per_hour=3 undo_minutes=10'],
  'governor stop': [`firstboot governor stop 'a wipe that nobody wanted'`],
  'governor resume': [`firstboot governor resume 'it was a drill'`],
  'webhooks create': ['firstboot webhooks create https://example.com/hook --type device.enrolled'],
  'webhooks replay': ['firstboot webhooks replay chat --after 4711'],
  'push-certificate-requests put': ['firstboot push-certificate-requests put 01a211f7 MDM_Certificate.pem'],
  'settings set': ['firstboot settings set default_device_limit=3'],
}

const SAMPLES: Readonly<Record<Thing, string>> = {
  device: 'F0STORY0001',
  'serial number': 'F0STORY0001',
  user: 'ada',
  attempt: '01a211f7',
  command: '1EB2DC9B',
  policy: 'Sales',
  group: 'iPads',
  'ADE server': 'Phones',
  link: '01a211f7',
  'API token': 'ci',
  'sign-in source': 'Entra',
  topic: 'com.apple.mgmt.External.11111111-1111-4111-8111-111111111111',
  profile: 'Wi-Fi',
  app: 'Pages',
  rollout: '01a211f7',
  approval: '01a211f7',
  webhook: 'chat',
  'push certificate request': '01a211f7',
}

/** Command lines with this verb, as somebody may type them. */
export function examplesOf(verb: Verb): readonly string[] {
  return TYPED[verb.words.join(' ')] ?? [madeFor(verb)]
}

function madeFor(verb: Verb): string {
  const positionals = (verb.arguments ?? []).flatMap(({ of: thing }) =>
    thing === undefined ? [] : SAMPLES[thing],
  )
  return ['firstboot', ...verb.words, ...positionals].join(' ')
}
