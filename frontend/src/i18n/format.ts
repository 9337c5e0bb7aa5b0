/**
 * Dates and numbers in the reader's zone. The words of the page are English, so
 * the dates are too, in the reader's own variety of it where the browser says so.
 */
const locale = navigator.languages.find((l) => l.startsWith('en')) ?? 'en';

const time = new Intl.DateTimeFormat(locale, { hour: '2-digit', minute: '2-digit', hourCycle: 'h23' });
const exact = new Intl.DateTimeFormat(locale, { dateStyle: 'full', timeStyle: 'medium' });
const dayOfWeek = new Intl.DateTimeFormat(locale, { weekday: 'long' });
const shortDate = new Intl.DateTimeFormat(locale, { day: 'numeric', month: 'short' });
const longDate = new Intl.DateTimeFormat(locale, { day: 'numeric', month: 'short', year: 'numeric' });
const monthOfYear = new Intl.DateTimeFormat(locale, { month: 'long', year: 'numeric' });
const relative = new Intl.RelativeTimeFormat(locale, { numeric: 'auto' });
const shortly = new Intl.RelativeTimeFormat(locale, { numeric: 'auto', style: 'short' });
const whole = new Intl.NumberFormat(locale);
const tenths = new Intl.NumberFormat(locale, { minimumFractionDigits: 1, maximumFractionDigits: 1 });
const list = new Intl.ListFormat(locale, { type: 'conjunction' });

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
  return time.format(d);
}

export function exactTime(d: Date): string {
  return exact.format(d);
}

/** "Today", "Yesterday", "Monday", "12 Nov", "12 Nov 2025". */
export function day(d: Date, now: Date): string {
  const ago = daysAgo(d, now);
  if (ago >= -1 && ago <= 1) return capital(relative.format(-ago, 'day'));
  if (ago > 1 && ago < 7) return dayOfWeek.format(d);
  return (d.getFullYear() === now.getFullYear() ? shortDate : longDate).format(d);
}

/** How long ago something happened today: "now", "5 min ago", "3 hr ago"; before that the clock, the day stands above. */
export function ago(d: Date, now: Date): string {
  const minutes = Math.floor((now.getTime() - d.getTime()) / 60_000);
  if (minutes < 1) return shortly.format(0, 'second');
  if (minutes < 60) return shortly.format(-minutes, 'minute');
  return daysAgo(d, now) === 0 ? shortly.format(-Math.floor(minutes / 60), 'hour') : clock(d);
}

export function month(d: Date): string {
  return monthOfYear.format(d);
}

/** How a due date reads: "today", "tomorrow", "yesterday", "Friday", "12 Dec". */
export function due(d: Date, now: Date): string {
  const ago = daysAgo(d, now);
  if (ago >= -1 && ago <= 1) return relative.format(-ago, 'day');
  if (ago < 0 && ago > -7) return dayOfWeek.format(d);
  return (d.getFullYear() === now.getFullYear() ? shortDate : longDate).format(d);
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
  if (ms < 1000) return `${whole.format(Math.round(ms))} ms`;
  if (ms < 60_000) return `${tenths.format(ms / 1000)} s`;
  const s = Math.round(ms / 1000);
  return `${whole.format(Math.floor(s / 60))} min ${s % 60} s`;
}

export function number(n: number): string {
  return whole.format(n);
}

export function and(words: readonly string[]): string {
  return list.format(words);
}

function capital(s: string): string {
  return s.charAt(0).toUpperCase() + s.slice(1);
}
