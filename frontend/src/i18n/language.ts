import { setLocale } from './format';

/** The languages that the page speaks, by the names that they have for themselves. */
export const languages = { en: 'English', de: 'Deutsch' } as const;
export type Language = keyof typeof languages;

/** The same words with any text. */
export type Words<T> = T extends boolean | undefined
  ? T
  : T extends string
    ? string
    : T extends (...args: infer A) => string
      ? (...args: A) => string
      : { readonly [K in keyof T]: Words<T[K]> };

/**
 * The words in another language. One that is missing stays English, so that a
 * page can always be built; a test asks for all of them.
 */
export type Translation<T> = T extends boolean | string | undefined | ((...args: never) => string)
  ? Words<T>
  : { readonly [K in keyof T]?: Translation<T[K]> };

const isLanguage = (name: string | undefined): name is Language => name !== undefined && Object.hasOwn(languages, name);

/** What the person has chosen, or else the first of the browser's languages that the page speaks. */
export function preferred(chosen: string | undefined, offered: readonly string[]): Language {
  if (isLanguage(chosen)) return chosen;
  return offered.map((l) => l.split('-', 1)[0]).find(isLanguage) ?? 'en';
}

/**
 * Makes the page speak a language, before anything of it is drawn. English is
 * built in, and what is spoken where another language cannot be fetched.
 */
export async function speak(language: Language, offered: readonly string[]): Promise<void> {
  try {
    if (language === 'de') (await import('./german')).speakGerman();
  } catch {
    language = 'en';
  }
  document.documentElement.lang = language;
  // The reader's own variety, where the browser says so: 24. Dez. or 24. Dez in Austria.
  setLocale(offered.find((l) => l.split('-', 1)[0] === language) ?? language);
}

/** Puts other words into the place of the English ones, which whoever shows them has in hand. */
export function replaceWords<T extends object>(words: T, by: Translation<T>): void {
  for (const [key, value] of Object.entries(by) as [string, unknown][]) {
    const old = (words as Record<string, unknown>)[key];
    if (typeof value === 'object' && value !== null && typeof old === 'object' && old !== null) {
      replaceWords(old, value as never);
    } else Object.assign(words, { [key]: value });
  }
}
