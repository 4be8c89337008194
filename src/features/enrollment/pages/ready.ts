import { html } from './html.ts'
import { layout } from './layout.ts'

/** The page with the profile, and what to tap after its download. */
export function readyPage(page: { href: string; userName: string }): string {
  return layout(
    'Your profile is ready',
    html`<p class="soft">
        Signed in as ${page.userName}. Open this page on the device that you want to enroll.
      </p>
      <a class="button" href="${page.href}">Download the profile</a>
      <h2>On iPhone and iPad</h2>
      <ol>
        <li>Tap <strong>Download the profile</strong>, then <strong>Allow</strong>.</li>
        <li>
          Open <strong>Settings</strong> and tap <strong>Profile Downloaded</strong> at the top (or General,
          then VPN &amp; Device Management).
        </li>
        <li>
          Tap <strong>Install</strong>, enter your passcode, and confirm with <strong>Install</strong> and
          <strong>Trust</strong>.
        </li>
      </ol>
      <h2>On a Mac</h2>
      <ol>
        <li>Open the downloaded file.</li>
        <li>
          In <strong>System Settings</strong>, go to General, then Device Management, and open the profile.
        </li>
        <li>Click <strong>Enroll</strong> and enter the password of your Mac.</li>
      </ol>
      <p class="soft small">
        The profile is for one device and must be installed within 15 minutes. If that was too late, download
        it again.
      </p>`,
  )
}
