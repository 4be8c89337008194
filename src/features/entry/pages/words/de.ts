import type { Words } from './words.ts'

const WRONG = 'Der Benutzername oder das Passwort ist falsch.'

/** German. */
export const de: Words = {
  signIn: {
    heading: 'Anmelden, um dieses Gerät zu registrieren',
    intro:
      'Verwenden Sie das Konto Ihrer Organisation. Danach wird dieses Gerät für Ihre Arbeit eingerichtet und verwaltet.',
    userName: 'Benutzername',
    password: 'Passwort',
    submit: 'Anmelden',
    or: 'oder',
    with: (provider) => `Anmelden mit ${provider}`,
  },
  newPassword: {
    heading: 'Neues Passwort wählen',
    expired: (name) => `Das Passwort von ${name} ist abgelaufen. Das neue braucht mindestens 12 Zeichen.`,
    mustChange: (name) =>
      `Das Passwort von ${name} muss vor der ersten Verwendung geändert werden. Das neue braucht mindestens 12 Zeichen.`,
    first: 'Neues Passwort',
    again: 'Neues Passwort wiederholen',
    submit: 'Passwort ändern und weiter',
    unequal: 'Die beiden neuen Passwörter stimmen nicht überein.',
    refused: () =>
      'Dieses Passwort geht nicht: Es braucht mindestens 12 Zeichen und muss ein anderes sein als bisher.',
  },
  ready: {
    heading: 'Ihr Profil ist bereit',
    signedInAs: (name) =>
      `Angemeldet als ${name}. Öffnen Sie diese Seite auf dem Gerät, das Sie registrieren möchten.`,
    download: 'Profil laden',
    mobile: 'Auf iPhone und iPad',
    mobileSteps: [
      'Tippen Sie auf «Profil laden», dann auf «Zulassen».',
      'Öffnen Sie «Einstellungen» und tippen Sie oben auf «Profil geladen» (oder «Allgemein», dann «VPN und Geräteverwaltung»).',
      'Tippen Sie auf «Installieren», geben Sie Ihren Code ein und bestätigen Sie mit «Installieren» und «Vertrauen».',
    ],
    mac: 'Auf einem Mac',
    macSteps: [
      'Öffnen Sie die geladene Datei.',
      'Gehen Sie in den «Systemeinstellungen» zu «Allgemein», dann «Geräteverwaltung», und öffnen Sie das Profil.',
      'Klicken Sie auf «Registrieren» und geben Sie das Passwort Ihres Mac ein.',
    ],
    hurry:
      'Das Profil gilt für ein Gerät und muss innerhalb von 15 Minuten installiert werden. War das zu spät, laden Sie es noch einmal.',
  },
  refused: {
    heading: 'Dieses Gerät kann nicht registriert werden',
    text: 'Ihre Organisation hat dieses Gerät nicht zugelassen. Bitte wenden Sie sich an Ihre Administration.',
  },
  update: {
    heading: 'Bitte zuerst aktualisieren',
    text: (version) =>
      `Dieses Gerät braucht Version ${version} seines Betriebssystems oder eine spätere. Aktualisieren Sie es und beginnen Sie dann von vorn.`,
  },
  limit: {
    heading: 'Sie haben zu viele Geräte',
    text: (count, limit) =>
      `Sie haben ${count} von ${limit} Geräten. Geben Sie eines ab, das Sie nicht mehr brauchen, und beginnen Sie dann von vorn.`,
  },
  startAgain: {
    heading: 'Bitte noch einmal beginnen',
    text: 'Diese Seite ist abgelaufen oder wurde in einem anderen Browser geöffnet. Gehen Sie zurück zum ersten Schritt der Einrichtung dieses Geräts, oder öffnen Sie die Registrierungsseite erneut.',
  },
  notHere: {
    heading: 'Diese Seite ist für neue Geräte',
    text: 'Diese Adresse dient der Einrichtung neuer Geräte. Um ein eigenes Gerät zu registrieren, öffnen Sie die Registrierungsseite.',
  },
  openPage: 'Registrierungsseite öffnen',
  forAdministrator: 'Für Ihre Administration:',
  help: 'Hilfe:',
  problems: {
    sign_in_required: 'Sie wurden nicht angemeldet. Bitte versuchen Sie es noch einmal.',
    invalid_credentials: WRONG,
    user_unknown: WRONG,
    user_disabled:
      'Dieses Konto darf hier nicht verwendet werden. Bitte wenden Sie sich an Ihre Administration.',
    password_expired:
      'Ihr Passwort ist abgelaufen. Ändern Sie es dort, wo Sie es sonst tun, und melden Sie sich dann erneut an.',
    password_change_required:
      'Ihr Passwort muss zuerst geändert werden. Ändern Sie es dort, wo Sie es sonst tun.',
    mfa_required:
      'Ihre Organisation verlangt einen zweiten Faktor, der hier nicht eingegeben werden kann. Bitte wenden Sie sich an Ihre Administration.',
    directory_unavailable:
      'Die Anmeldung ist im Moment nicht möglich. Bitte versuchen Sie es später noch einmal.',
    other: 'Sie wurden nicht angemeldet. Bitte wenden Sie sich an Ihre Administration.',
  },
  wait: (minutes) =>
    `Zu viele Anmeldungen sind fehlgeschlagen. Bitte warten Sie ${minutes === 1 ? 'eine Minute' : `${minutes} Minuten`} und versuchen Sie es dann noch einmal.`,
}
