import { searchTermOf } from '../../../db/statements/device-details.ts'
import type { ToldFacts } from '../../../protocol/mdm/index.ts'

/** What a device can be found by: numbers without blanks and punctuation, in lower case. */
export function searchTermsOf(facts: Partial<ToldFacts>): string[] {
  const { imeis, meids, iccids, eids, phone_numbers, wifi_mac, bluetooth_mac, ethernet_mac } = facts
  const all = [imeis, meids, iccids, eids, phone_numbers, wifi_mac, bluetooth_mac, ethernet_mac]
  return [...new Set(all.flatMap((each) => each ?? []).map(searchTermOf))].filter((term) => term !== '')
}
