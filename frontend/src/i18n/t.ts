import { en, type Dictionary } from './en';

/** The words in the reader's language. */
export const t: Dictionary = en;
