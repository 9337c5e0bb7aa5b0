import type { errorTexts } from './errors';
import type { Translation } from './language';

const nothing = 'Nichts wurde geändert.';
const saved = 'Ihre Nachricht ist gespeichert.';
const typed = 'Was Sie geschrieben haben, bleibt erhalten.';
const safe = 'Was er vorher angenommen hat, ist sicher.';
const again = 'Versuchen Sie es gleich noch einmal.';
const report = 'Geschieht es wieder, melden Sie es mit der Kennung.';
const signIn = 'Melden Sie sich wieder an; dann geht alles weiter.';
const mistake = `Laden Sie die Seite neu, und versuchen Sie es noch einmal. ${report}`;
const less = 'Verlangen Sie weniger auf einmal.';
const never = 'Dieser Aufruf lief nie und wird nie laufen.';

export const deErrors: Translation<typeof errorTexts> = {
  requests: {
    bad_request: { what: 'Der Server hat das nicht verstanden.', kept: nothing, next: mistake, own: true },
    invalid_json: { what: 'Der Server konnte das nicht lesen.', kept: nothing, next: mistake },
    unsupported_media_type: { what: 'Der Server konnte das nicht lesen.', kept: nothing, next: mistake },
    not_acceptable: { what: 'Der Server kann in dieser Form nicht antworten.', kept: nothing, next: mistake },
    method_not_allowed: { what: 'Der Server bietet das nicht an.', kept: nothing, next: mistake },
    too_large: {
      what: 'Das ist mehr, als der Server auf einmal annimmt.',
      kept: nothing,
      next: 'Kürzen Sie es, und senden Sie es noch einmal.',
    },
    request_timeout: { what: 'Die Verbindung war dem Server zu langsam.', kept: nothing, next: again },
    unauthenticated: { what: 'Der Server weiß nicht, wer Sie sind.', kept: typed, next: signIn },
    token_expired: { what: 'Ihre Sitzung ist abgelaufen.', kept: typed, next: signIn },
    forbidden: {
      what: 'Das dürfen Sie nicht.',
      kept: nothing,
      next: 'Fragen Sie, wer diesen Server betreibt, oder melden Sie sich anders an.',
      own: true,
    },
    origin_refused: {
      what: 'Der Server nimmt diese Seite unter dieser Adresse nicht an.',
      kept: nothing,
      next: 'Öffnen Sie Parley unter seiner eigenen Adresse, oder fragen Sie, wer diesen Server betreibt.',
    },
    not_found: {
      what: 'Das gibt es nicht mehr, oder es gehört jemand anderem.',
      kept: nothing,
      next: 'Suchen Sie es in der Liste.',
    },
    conflict: {
      what: 'Etwas anderes hat das inzwischen geändert.',
      kept: nothing,
      next: 'Sehen Sie nach, wie es jetzt ist, und versuchen Sie es noch einmal.',
      own: true,
    },
    key_reused: {
      what: 'Das wurde schon einmal gesendet, mit anderen Worten.',
      kept: 'Es gilt, was zuerst gesendet wurde.',
      next: 'Senden Sie es als neue Nachricht.',
    },
    invalid_message: {
      what: 'So nimmt der Server das nicht an.',
      kept: nothing,
      next: 'Ändern Sie es, und versuchen Sie es noch einmal.',
      own: true,
    },
    unknown_tool: { what: 'Der Server bietet dieses Werkzeug nicht an.', kept: nothing, next: mistake },
    too_many: {
      what: 'Das war zu viel auf einmal.',
      kept: nothing,
      next: 'Warten Sie eine Antwort ab, und versuchen Sie es dann noch einmal.',
      own: true,
    },
    unavailable: { what: 'Der Server kann das im Moment nicht.', kept: safe, next: again, own: true },
    outcome_unknown: {
      what: 'Noch kann niemand sagen, ob das gespeichert wurde.',
      kept: 'Falls ja, geschieht es einmal.',
      next: 'Versuchen Sie es noch einmal: Es geschieht nicht zweimal.',
    },
    draining: { what: 'Der Server wird neu gestartet.', kept: safe, next: again },
    unreadable: {
      what: 'Etwas in dieser Unterhaltung kann diese Fassung von Parley nicht lesen.',
      kept: 'Nichts darin wurde geändert.',
      next: `Laden Sie die Seite neu. ${report}`,
    },
    internal: { what: 'Auf dem Server ging etwas schief.', kept: safe, next: `${again} ${report}` },
    network: {
      what: 'Der Server ist nicht zu erreichen.',
      kept: typed,
      next: 'Prüfen Sie Ihre Verbindung, und versuchen Sie es noch einmal.',
    },
    offline: { what: 'Es gibt keine Verbindung.', kept: nothing, next: 'Versuchen Sie es, wenn sie wieder da ist.' },
    timeout: {
      what: 'Der Server hat zu lange nicht geantwortet.',
      kept: 'Vielleicht tut er es noch, einmal.',
      next: 'Sehen Sie nach, ob es getan ist, bevor Sie es noch einmal versuchen.',
    },
    bad_response: { what: 'Die Antwort des Servers ergab keinen Sinn.', kept: typed, next: mistake },
    signed_out: {
      what: 'Sie haben sich abgemeldet.',
      kept: 'Was vorher gesendet wurde, ist sicher.',
      next: 'Melden Sie sich an, und tun Sie es noch einmal.',
    },
    unexpected: { what: 'In dieser Seite ging etwas schief.', kept: 'Alles liegt auf dem Server.', next: mistake },
  },
  runs: {
    attempts: {
      what: 'Die Antwort wurde dreimal unterbrochen.',
      kept: saved,
      next: 'Versuchen Sie es noch einmal.',
      own: true,
    },
    deadline: {
      what: 'Die Zeit für diese Antwort war um.',
      kept: saved,
      next: `Versuchen Sie es noch einmal. ${less}`,
      own: true,
    },
    poison: {
      what: 'Diese Nachricht ließ sich nicht bearbeiten.',
      kept: saved,
      next: `Versuchen Sie es noch einmal. ${report}`,
      own: true,
    },
    model_error: { what: 'Das Modell hat nicht geantwortet.', kept: saved, next: again, own: true },
    model_auth: {
      what: 'Das Modell hat den Schlüssel dieses Servers abgelehnt.',
      kept: saved,
      next: 'Bitten Sie, wer diesen Server betreibt, ihn zu prüfen, und versuchen Sie es dann noch einmal.',
      own: true,
    },
    model_busy: { what: 'Das Modell ist überlastet.', kept: saved, next: again, own: true },
    step_limit: { what: 'Die Antwort brauchte zu viele Schritte.', kept: saved, next: less, own: true },
    call_limit: { what: 'Die Antwort benutzte zu viele Werkzeuge.', kept: saved, next: less, own: true },
    token_limit: {
      what: 'Die Antwort wurde zu lang.',
      kept: saved,
      next: `${less} Oder beginnen Sie eine neue Unterhaltung.`,
      own: true,
    },
    unknown_parent: {
      what: 'Die Nachricht, auf die diese antwortet, gibt es nicht.',
      kept: saved,
      next: 'Kopieren Sie sie, und senden Sie sie am Ende der Unterhaltung noch einmal.',
      own: true,
    },
  },
  calls: {
    tool_error: {
      what: 'Das Werkzeug hat abgelehnt.',
      kept: nothing,
      next: 'Sagen Sie es anders, oder tun Sie es von Hand.',
      own: true,
    },
    unknown_tool: {
      what: 'Dieses Werkzeug gibt es nicht.',
      kept: nothing,
      next: 'Tun Sie es von Hand, oder bitten Sie um etwas anderes.',
      own: true,
    },
    invalid_arguments: {
      what: 'Das Werkzeug wurde falsch gefragt.',
      kept: nothing,
      next: 'Sagen Sie es anders.',
      own: true,
    },
    denied: {
      what: 'Dieser Aufruf wurde nicht erlaubt.',
      kept: nothing,
      next: 'Bitten Sie noch einmal, wenn Sie es doch wollen.',
      own: true,
    },
    revoked: {
      what: 'Die Antwort wurde vorher angehalten.',
      kept: never,
      next: 'Bitten Sie noch einmal, wenn Sie es doch wollen.',
    },
    deadline: { what: 'Für diesen Aufruf war keine Zeit mehr.', kept: never, next: 'Bitten Sie noch einmal.' },
    poison: {
      what: 'Dieser Aufruf ließ sich nicht ausführen.',
      kept: never,
      next: `Bitten Sie noch einmal. ${report}`,
    },
    outcome_unknown: {
      what: 'Das Werkzeug hat nicht gesagt, wie es ausging.',
      kept: 'Vielleicht ist es getan.',
      next: 'Sehen Sie dort nach, bevor Sie noch einmal bitten.',
      own: true,
    },
  },
};
