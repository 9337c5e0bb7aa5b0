/** Dates and numbers in the reader's zone and variety of the page's language. */
function formats(locale: string) {
  return {
    time: new Intl.DateTimeFormat(locale, { hour: '2-digit', minute: '2-digit', hourCycle: 'h23' }),
    exact: new Intl.DateTimeFormat(locale, { dateStyle: 'full', timeStyle: 'medium' }),
    dayOfWeek: new Intl.DateTimeFormat(locale, { weekday: 'long' }),
    shortDate: new Intl.DateTimeFormat(locale, { day: 'numeric', month: 'short' }),
    longDate: new Intl.DateTimeFormat(locale, { day: 'numeric', month: 'short', year: 'numeric' }),
    monthOfYear: new Intl.DateTimeFormat(locale, { month: 'long', year: 'numeric' }),
    relative: new Intl.RelativeTimeFormat(locale, { numeric: 'auto' }),
    shortly: new Intl.RelativeTimeFormat(locale, { numeric: 'auto', style: 'short' }),
    whole: new Intl.NumberFormat(locale),
    tenths: new Intl.NumberFormat(locale, { minimumFractionDigits: 1, maximumFractionDigits: 1 }),
    list: new Intl.ListFormat(locale, { type: 'conjunction' }),
    plurals: new Intl.PluralRules(locale),
  };
}

let f = formats(navigator.languages.find((l) => l.startsWith('en')) ?? 'en');

/** Another language, before anything is drawn. */
export function setLocale(locale: string): void {
  f = formats(locale);
}

const dayLength = 86_400_000;

/** The calendar day of a moment, as a count that is equal for the whole day. */
function dayNumber(d: Date): number {
  return Math.round(Date.UTC(d.getFullYear(), d.getMonth(), d.getDate()) / dayLength);
}

/** Whole calendar days from then to now: 0 today, 1 yesterday, -1 tomorrow. */
export function daysAgo(then: Date, now: Date): number {
  return dayNumber(now) - dayNumber(then);
}

export function clock(d: Date): string {
  return f.time.format(d);
}

export function exactTime(d: Date): string {
  return f.exact.format(d);
}

/** "Today", "Yesterday", "Monday", "12 Nov", "12 Nov 2025". */
export function day(d: Date, now: Date): string {
  const ago = daysAgo(d, now);
  if (ago >= -1 && ago <= 1) return capital(f.relative.format(-ago, 'day'));
  if (ago > 1 && ago < 7) return f.dayOfWeek.format(d);
  return (d.getFullYear() === now.getFullYear() ? f.shortDate : f.longDate).format(d);
}

/** How long ago something happened today: "now", "5 min ago", "3 hr ago"; before that the clock, the day stands above. */
export function ago(d: Date, now: Date): string {
  const minutes = Math.floor((now.getTime() - d.getTime()) / 60_000);
  if (minutes < 1) return f.shortly.format(0, 'second');
  if (minutes < 60) return f.shortly.format(-minutes, 'minute');
  return daysAgo(d, now) === 0 ? f.shortly.format(-Math.floor(minutes / 60), 'hour') : clock(d);
}

export function month(d: Date): string {
  return f.monthOfYear.format(d);
}

/** How a due date reads: "today", "tomorrow", "yesterday", "Friday", "12 Dec". */
export function due(d: Date, now: Date): string {
  const ago = daysAgo(d, now);
  if (ago >= -1 && ago <= 1) return f.relative.format(-ago, 'day');
  if (ago < 0 && ago > -7) return f.dayOfWeek.format(d);
  return (d.getFullYear() === now.getFullYear() ? f.shortDate : f.longDate).format(d);
}

/** A calendar date as the server writes it, at the start of that day here. */
export function parseDate(s: string): Date | undefined {
  const m = /^(\d{4})-(\d{2})-(\d{2})$/.exec(s);
  if (!m) return undefined;
  const d = new Date(Number(m[1]), Number(m[2]) - 1, Number(m[3]));
  return Number.isNaN(d.getTime()) ? undefined : d;
}

/** "< 1 ms", "41 ms", "1.2 s", "2 min 5 s". */
export function duration(ms: number): string {
  if (ms < 1) return '< 1 ms';
  if (ms < 1000) return `${f.whole.format(Math.round(ms))} ms`;
  if (ms < 60_000) return `${f.tenths.format(ms / 1000)} s`;
  const s = Math.round(ms / 1000);
  return `${f.whole.format(Math.floor(s / 60))} min ${s % 60} s`;
}

export function number(n: number): string {
  return f.whole.format(n);
}

/** The form that goes with a number: "1 task", "2 tasks", and more forms where a language has them. */
export function plural(n: number, forms: Partial<Record<Intl.LDMLPluralRule, string>> & { other: string }): string {
  return forms[f.plurals.select(n)] ?? forms.other;
}

export function and(words: readonly string[]): string {
  return f.list.format(words);
}

function capital(s: string): string {
  return s.charAt(0).toUpperCase() + s.slice(1);
}
