/** Made when the first of them is needed: by then the page has its language. */
let made: { ms: Intl.DateTimeFormat; seconds: Intl.DateTimeFormat; day: Intl.DateTimeFormat } | undefined;

function formats() {
  if (made) return made;
  const language = document.documentElement.lang || 'en';
  const locale = navigator.languages.find((l) => l.split('-', 1)[0] === language) ?? language;
  const time = { hour: '2-digit', minute: '2-digit', second: '2-digit', hourCycle: 'h23' } as const;
  made = {
    ms: new Intl.DateTimeFormat(locale, { ...time, fractionalSecondDigits: 3 }),
    seconds: new Intl.DateTimeFormat(locale, time),
    day: new Intl.DateTimeFormat(locale, { weekday: 'short', day: 'numeric', month: 'short', year: 'numeric' }),
  };
  return made;
}

function text(f: Intl.DateTimeFormat, d: Date): string {
  return Number.isNaN(d.getTime()) ? '' : f.format(d);
}

/** "10:41:07.214" */
export function clockMs(d: Date): string {
  return text(formats().ms, d);
}

/** "10:41:07" */
export function clockSeconds(d: Date): string {
  return text(formats().seconds, d);
}

/** "Mon, 23 Nov 2026" */
export function fullDay(d: Date): string {
  return text(formats().day, d);
}
