/** What is said of an error: what happened, what was kept, what to do. */
export interface ErrorText {
  readonly what: string;
  readonly kept: string;
  readonly next: string;
  /** The server's own words say more about what happened, and stand in the place of ours. */
  readonly own?: true;
}

type Texts = Readonly<Record<string, ErrorText>>;

const nothing = 'Nothing was changed.';
const saved = 'Your message is saved.';
const again = 'Try again in a moment.';
const report = 'If it happens again, report it with the reference.';
const signIn = 'Sign in again; everything then continues.';
const mistake = `Reload the page and try again. ${report}`;

/** Why a request was refused, by the server's code or the page's own. A test compares the list with the server's. */
export const requests: Texts = {
  bad_request: { what: 'The server did not understand this.', kept: nothing, next: mistake, own: true },
  invalid_json: { what: 'The server could not read this.', kept: nothing, next: mistake },
  unsupported_media_type: { what: 'The server could not read this.', kept: nothing, next: mistake },
  not_acceptable: { what: 'The server cannot answer in this form.', kept: nothing, next: mistake },
  method_not_allowed: { what: 'The server does not offer this.', kept: nothing, next: mistake },
  too_large: {
    what: 'This is more than the server takes at once.',
    kept: nothing,
    next: 'Make it shorter and send it again.',
  },
  request_timeout: { what: 'The connection was too slow for the server.', kept: nothing, next: again },
  unauthenticated: { what: 'The server does not know who you are.', kept: 'What you typed is kept.', next: signIn },
  token_expired: { what: 'Your session has ended.', kept: 'What you typed is kept.', next: signIn },
  forbidden: {
    what: 'You may not do this.',
    kept: nothing,
    next: 'Ask whoever runs this server, or sign in as somebody else.',
    own: true,
  },
  origin_refused: {
    what: 'The server does not accept this page at this address.',
    kept: nothing,
    next: 'Open Parley at its own address, or ask whoever runs this server.',
  },
  not_found: {
    what: 'This does not exist any more, or it is not yours.',
    kept: nothing,
    next: 'Look for it in the list.',
  },
  conflict: {
    what: 'Something else has changed this meanwhile.',
    kept: nothing,
    next: 'Look at how it is now and try again.',
    own: true,
  },
  key_reused: {
    what: 'This was sent before, with other words.',
    kept: 'What was sent first stands.',
    next: 'Send it as a new message.',
  },
  invalid_message: {
    what: 'The server does not take this as it is.',
    kept: nothing,
    next: 'Change it and try again.',
    own: true,
  },
  unknown_tool: { what: 'The server does not offer this tool.', kept: nothing, next: mistake },
  too_many: {
    what: 'This was too much at once.',
    kept: nothing,
    next: 'Wait for an answer, then try again.',
    own: true,
  },
  unavailable: {
    what: 'The server cannot do this at the moment.',
    kept: 'What it had accepted before is safe.',
    next: again,
    own: true,
  },
  outcome_unknown: {
    what: 'Nobody can say yet whether this was stored.',
    kept: 'If it was, it is done once.',
    next: 'Try again: it is not done twice.',
  },
  draining: { what: 'The server is being restarted.', kept: 'What it had accepted before is safe.', next: again },
  unreadable: {
    what: 'Something in this conversation cannot be read by this version of Parley.',
    kept: 'Nothing in it was changed.',
    next: `Reload the page. ${report}`,
  },
  internal: {
    what: 'Something went wrong on the server.',
    kept: 'What it had accepted before is safe.',
    next: `${again} ${report}`,
  },
  // The page's own.
  network: {
    what: 'The server cannot be reached.',
    kept: 'What you typed is kept.',
    next: 'Check your connection and try again.',
  },
  offline: { what: 'There is no connection.', kept: nothing, next: 'Try again when it is back.' },
  timeout: {
    what: 'The server took too long to answer.',
    kept: 'It may still do this, once.',
    next: 'Look whether it has been done before you try again.',
  },
  bad_response: { what: "The server's answer made no sense.", kept: 'What you typed is kept.', next: mistake },
  signed_out: { what: 'You have signed out.', kept: 'What was sent before is safe.', next: 'Sign in and do it again.' },
  unexpected: { what: 'Something went wrong in this page.', kept: 'Everything is on the server.', next: mistake },
};

/** Why there is no answer to a message. */
export const runs: Texts = {
  attempts: { what: 'The answer was interrupted three times.', kept: saved, next: 'Try again.', own: true },
  deadline: {
    what: 'The time for this answer was up.',
    kept: saved,
    next: 'Try again, or ask for less at once.',
    own: true,
  },
  poison: { what: 'This message could not be handled.', kept: saved, next: `Try again. ${report}`, own: true },
  model_error: { what: 'The model did not answer.', kept: saved, next: again, own: true },
  model_auth: {
    what: 'The model refused the key of this server.',
    kept: saved,
    next: 'Ask whoever runs this server to check it, then try again.',
    own: true,
  },
  model_busy: { what: 'The model is busy.', kept: saved, next: again, own: true },
  step_limit: { what: 'The answer took too many steps.', kept: saved, next: 'Ask for less at once.', own: true },
  call_limit: { what: 'The answer used too many tools.', kept: saved, next: 'Ask for less at once.', own: true },
  token_limit: {
    what: 'The answer became too long.',
    kept: saved,
    next: 'Ask for less at once, or start a new chat.',
    own: true,
  },
  unknown_parent: {
    what: 'The message that this one answers does not exist.',
    kept: 'Your message is saved.',
    next: 'Copy it and send it again at the end of the conversation.',
    own: true,
  },
};

/** Why a tool has no result. */
export const calls: Texts = {
  tool_error: { what: 'The tool refused.', kept: nothing, next: 'Say it differently, or do it by hand.', own: true },
  unknown_tool: {
    what: 'There is no such tool.',
    kept: nothing,
    next: 'Do it by hand, or ask for something else.',
    own: true,
  },
  invalid_arguments: {
    what: 'The tool was asked in the wrong way.',
    kept: nothing,
    next: 'Say it differently.',
    own: true,
  },
  denied: { what: 'This call was not allowed.', kept: nothing, next: 'Ask again if you want it after all.', own: true },
  revoked: {
    what: 'The answer was stopped first.',
    kept: 'This call never ran and never will.',
    next: 'Ask again if you want it after all.',
  },
  deadline: { what: 'There was no time left for this call.', kept: 'It never ran and never will.', next: 'Ask again.' },
  poison: {
    what: 'This call could not be carried out.',
    kept: 'It never ran and never will.',
    next: `Ask again. ${report}`,
  },
  outcome_unknown: {
    what: 'The tool did not say how this ended.',
    kept: 'It may have been done.',
    next: 'Look there before you ask again.',
    own: true,
  },
};

export const errorTexts = { requests, runs, calls };
export type ErrorKind = keyof typeof errorTexts;

/** The words for an error; for a code that came later, the server's own. */
export function explain(kind: ErrorKind, code: string, message: string): ErrorText {
  const list = [errorTexts[kind], requests].find((texts) => Object.hasOwn(texts, code));
  const known = list?.[code];
  const said = message.trim();
  const text = known ?? { ...requests.unexpected, what: 'Something went wrong.', kept: saved, next: again, own: true };
  return text.own && said !== '' ? { ...text, what: /[.!?…]$/.test(said) ? said : `${said}.` } : text;
}
