const prefix = 'parley.draft.';
const blocksPrefix = `${prefix}blocks.`;

/** More pasted text than anybody can send is kept until the page is left and no longer. */
const keptBlocks = 100_000;

/** What the reader has typed and not sent, by conversation id or "new". */
export function loadDraft(key: string): string {
  return read(prefix + key) ?? '';
}

export function saveDraft(key: string, text: string): void {
  write(prefix + key, text);
}

/** Long texts that were pasted beside it. */
export function loadBlocks(key: string): readonly string[] {
  try {
    const blocks: unknown = JSON.parse(read(blocksPrefix + key) ?? '[]');
    return Array.isArray(blocks) ? blocks.filter((b) => typeof b === 'string') : [];
  } catch {
    return [];
  }
}

export function saveBlocks(key: string, blocks: readonly string[]): void {
  const size = blocks.reduce((sum, b) => sum + b.length, 0);
  write(blocksPrefix + key, size === 0 || size > keptBlocks ? '' : JSON.stringify(blocks));
}

/** A new conversation has been given its id: what was typed meanwhile goes with it. */
export function moveDraft(from: string, to: string): void {
  const text = loadDraft(from);
  const blocks = loadBlocks(from);
  if (text !== '') saveDraft(to, text);
  if (blocks.length > 0) saveBlocks(to, blocks);
  saveDraft(from, '');
  saveBlocks(from, []);
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

function read(key: string): string | undefined {
  try {
    return localStorage.getItem(key) ?? undefined;
  } catch {
    return undefined; // storage is refused in some private windows
  }
}

function write(key: string, text: string): void {
  try {
    if (text === '') localStorage.removeItem(key);
    else localStorage.setItem(key, text);
  } catch {
    // A draft that cannot be kept must not stop anybody from typing.
  }
}
