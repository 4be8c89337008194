import type { Migration } from 'kysely/migration'
import * as foundation from './0001_foundation.ts'
import * as events from './0002_events.ts'
import * as people from './0003_people.ts'
import * as attempts from './0004_attempts.ts'
import * as enrollments from './0005_enrollments.ts'
import * as push from './0006_push.ts'
import * as commands from './0007_commands.ts'
import * as deviceIdentity from './0008_device_identity.ts'
import * as enrollmentLinks from './0009_enrollment_links.ts'
import * as signIn from './0010_sign_in.ts'
import * as policiesAndGroups from './0011_policies_and_groups.ts'
import * as ade from './0012_ade.ts'
import * as releaseFromSetup from './0013_release_from_setup.ts'
import * as oneOpenAttempt from './0014_one_open_attempt.ts'
import * as attemptsBeginProved from './0015_attempts_begin_proved.ts'
import * as owners from './0016_owners.ts'
import * as peopleBySource from './0017_people_by_source.ts'
import * as tokenOfSetting from './0018_token_of_setting.ts'
import * as unreadableAnswers from './0019_unreadable_answers.ts'
import * as adeSyncsAndAddresses from './0020_ade_syncs_and_addresses.ts'
import * as serialNumbers from './0022_serial_numbers.ts'
import * as boundedByDevice from './0024_bounded_by_device.ts'
import * as acts from './0025_acts.ts'
import * as subscriptions from './0026_subscriptions.ts'
import * as answers from './0027_answers.ts'
import * as groupsByRule from './0028_groups_by_rule.ts'
import * as inventory from './0029_inventory.ts'
import * as typedCommands from './0030_typed_commands.ts'
import * as profilesAndSecrets from './0031_profiles_and_secrets.ts'
import * as apps from './0032_apps.ts'
import * as deliveries from './0033_deliveries.ts'
import * as rollouts from './0034_rollouts.ts'
import * as releases from './0035_releases.ts'
import * as authenticatesAgain from './0036_authenticates_again.ts'
import * as resumedRollouts from './0037_resumed_rollouts.ts'
import * as unheardCommands from './0038_unheard_commands.ts'
import * as answersByTopic from './0039_answers_by_topic.ts'
import * as webhooks from './0040_webhooks.ts'
import * as deviceMessages from './0041_device_messages.ts'
import * as movingIn from './0042_moving_in.ts'
import * as pushCertificateRequests from './0044_push_certificate_requests.ts'
import * as audit from './0045_audit.ts'
import * as explanations from './0046_explanations.ts'
import * as governor from './0047_governor.ts'

/** Every migration by the name under which it is recorded; a landed one is never edited or renamed. */
export const migrations: Record<string, Migration> = {
  '0001_foundation': foundation,
  '0002_events': events,
  '0003_people': people,
  '0004_attempts': attempts,
  '0005_enrollments': enrollments,
  '0006_push': push,
  '0007_commands': commands,
  '0008_device_identity': deviceIdentity,
  '0009_enrollment_links': enrollmentLinks,
  '0010_sign_in': signIn,
  '0011_policies_and_groups': policiesAndGroups,
  '0012_ade': ade,
  '0013_release_from_setup': releaseFromSetup,
  '0014_one_open_attempt': oneOpenAttempt,
  '0015_attempts_begin_proved': attemptsBeginProved,
  '0016_owners': owners,
  '0017_people_by_source': peopleBySource,
  '0018_token_of_setting': tokenOfSetting,
  '0019_unreadable_answers': unreadableAnswers,
  '0020_ade_syncs_and_addresses': adeSyncsAndAddresses,
  '0022_serial_numbers': serialNumbers,
  '0024_bounded_by_device': boundedByDevice,
  '0025_acts': acts,
  '0026_subscriptions': subscriptions,
  '0027_answers': answers,
  '0028_groups_by_rule': groupsByRule,
  '0029_inventory': inventory,
  '0030_typed_commands': typedCommands,
  '0031_profiles_and_secrets': profilesAndSecrets,
  '0032_apps': apps,
  '0033_deliveries': deliveries,
  '0034_rollouts': rollouts,
  '0035_releases': releases,
  '0036_authenticates_again': authenticatesAgain,
  '0037_resumed_rollouts': resumedRollouts,
  '0038_unheard_commands': unheardCommands,
  '0039_answers_by_topic': answersByTopic,
  '0040_webhooks': webhooks,
  '0041_device_messages': deviceMessages,
  '0042_moving_in': movingIn,
  '0044_push_certificate_requests': pushCertificateRequests,
  '0045_audit': audit,
  '0046_explanations': explanations,
  '0047_governor': governor,
}
