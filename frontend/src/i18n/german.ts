import { de } from './de';
import { deErrors } from './deErrors';
import { deMore } from './deMore';
import { deReplay } from './deReplay';
import { en } from './en';
import { errorTexts } from './errors';
import { replaceWords } from './language';
import { more } from './more';
import { r } from './replay';

/** Makes every word of the page German. */
export function speakGerman(): void {
  replaceWords(en, de);
  replaceWords(more, deMore);
  replaceWords(r, deReplay);
  replaceWords(errorTexts, deErrors);
}
