import type { Words } from './words.ts'

const WRONG = 'Le nom d’utilisateur ou le mot de passe est incorrect.'

/** French. */
export const fr: Words = {
  signIn: {
    heading: 'Se connecter pour inscrire cet appareil',
    intro:
      'Utilisez le compte de votre organisation. Cet appareil sera ensuite configuré et géré pour votre travail.',
    userName: 'Nom d’utilisateur',
    password: 'Mot de passe',
    submit: 'Se connecter',
    or: 'ou',
    with: (provider) => `Se connecter avec ${provider}`,
  },
  newPassword: {
    heading: 'Choisir un nouveau mot de passe',
    expired: (name) =>
      `Le mot de passe de ${name} a expiré. Le nouveau doit comporter au moins 12 caractères.`,
    mustChange: (name) =>
      `Le mot de passe de ${name} doit être changé avant de pouvoir être utilisé. Le nouveau doit comporter au moins 12 caractères.`,
    first: 'Nouveau mot de passe',
    again: 'Nouveau mot de passe, encore une fois',
    submit: 'Changer le mot de passe et continuer',
    unequal: 'Les deux nouveaux mots de passe ne sont pas identiques.',
    refused: () =>
      'Ce mot de passe ne convient pas : il doit comporter au moins 12 caractères et différer du précédent.',
  },
  ready: {
    heading: 'Votre profil est prêt',
    signedInAs: (name) =>
      `Connecté en tant que ${name}. Ouvrez cette page sur l’appareil que vous souhaitez inscrire.`,
    download: 'Télécharger le profil',
    mobile: 'Sur iPhone et iPad',
    mobileSteps: [
      'Touchez « Télécharger le profil », puis « Autoriser ».',
      'Ouvrez « Réglages » et touchez « Profil téléchargé » en haut (ou « Général », puis « VPN et gestion de l’appareil »).',
      'Touchez « Installer », saisissez votre code, puis confirmez avec « Installer » et « Faire confiance ».',
    ],
    mac: 'Sur un Mac',
    macSteps: [
      'Ouvrez le fichier téléchargé.',
      'Dans « Réglages Système », allez dans « Général », puis « Gestion de l’appareil », et ouvrez le profil.',
      'Cliquez sur « Inscrire » et saisissez le mot de passe de votre Mac.',
    ],
    hurry:
      'Le profil est destiné à un seul appareil et doit être installé dans les 15 minutes. Si ce délai est passé, téléchargez-le à nouveau.',
  },
  refused: {
    heading: 'Cet appareil ne peut pas être inscrit',
    text: 'Votre organisation n’a pas admis cet appareil. Adressez-vous à votre administrateur.',
  },
  update: {
    heading: 'Mettez d’abord à jour',
    text: (version) =>
      `Cet appareil a besoin de la version ${version} de son système, ou d’une version ultérieure. Mettez-le à jour, puis recommencez.`,
  },
  limit: {
    heading: 'Vous avez trop d’appareils',
    text: (count, limit) =>
      `Vous avez ${count} appareils sur ${limit}. Retirez-en un dont vous n’avez plus besoin, puis recommencez.`,
  },
  startAgain: {
    heading: 'Veuillez recommencer',
    text: 'Cette page a expiré ou a été ouverte dans un autre navigateur. Revenez à la première étape de la configuration de cet appareil, ou ouvrez à nouveau la page d’inscription.',
  },
  notHere: {
    heading: 'Cette page est destinée aux nouveaux appareils',
    text: 'Cette adresse sert à configurer de nouveaux appareils. Pour inscrire un appareil personnel, ouvrez la page d’inscription.',
  },
  openPage: 'Ouvrir la page d’inscription',
  forAdministrator: 'Pour votre administrateur :',
  help: 'Aide :',
  problems: {
    sign_in_required: 'Vous n’avez pas été connecté. Veuillez réessayer.',
    invalid_credentials: WRONG,
    user_unknown: WRONG,
    user_disabled: 'Ce compte ne peut pas être utilisé ici. Adressez-vous à votre administrateur.',
    password_expired:
      'Votre mot de passe a expiré. Changez-le là où vous le faites d’habitude, puis connectez-vous à nouveau.',
    password_change_required:
      'Votre mot de passe doit d’abord être changé. Changez-le là où vous le faites d’habitude.',
    mfa_required:
      'Votre organisation demande un second facteur, qui ne peut pas être fourni ici. Adressez-vous à votre administrateur.',
    directory_unavailable: 'La connexion est impossible pour le moment. Veuillez réessayer plus tard.',
    other: 'Vous n’avez pas été connecté. Adressez-vous à votre administrateur.',
  },
  wait: (minutes) =>
    `Trop de connexions ont échoué. Veuillez attendre ${minutes === 1 ? 'une minute' : `${minutes} minutes`} et réessayer.`,
}
