/** What the store says by itself; the page may say it in another language. */
export interface Texts {
  deleted(title: string): string;
  archived(title: string): string;
  undo: string;
}

export const english: Texts = {
  deleted: (title) => (title ? `“${title}” was deleted.` : 'The conversation was deleted.'),
  archived: (title) => (title ? `“${title}” was archived.` : 'The conversation was archived.'),
  undo: 'Undo',
};
