const prefix = 'parley.draft.';

/** What the reader has typed and not sent, by conversation id or "new". */
export function loadDraft(key: string): string {
  try {
    return localStorage.getItem(prefix + key) ?? '';
  } catch {
    return ''; // storage is refused in some private windows
  }
}

export function saveDraft(key: string, text: string): void {
  try {
    if (text === '') localStorage.removeItem(prefix + key);
    else localStorage.setItem(prefix + key, text);
  } catch {
    // A draft that cannot be kept must not stop anybody from typing.
  }
}

/** Forgets all drafts, as on signing out. */
export function clearDrafts(): void {
  try {
    for (const key of Object.keys(localStorage)) {
      if (key.startsWith(prefix)) localStorage.removeItem(key);
    }
  } catch {
    // Nothing could have been kept.
  }
}
