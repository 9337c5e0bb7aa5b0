/** What the store says by itself; the page may say it in another language. */
export interface Texts {
  deleted(title: string): string;
  undo: string;
}

export const english: Texts = {
  deleted: (title) => (title ? `“${title}” was deleted.` : 'The conversation was deleted.'),
  undo: 'Undo',
};
