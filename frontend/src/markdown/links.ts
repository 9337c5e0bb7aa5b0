const protocols = new Set(['http:', 'https:', 'mailto:']);

/**
 * The address a link may have, or undefined. Only whole http, https and mailto
 * addresses pass: a relative one would be ours, and everything else may run.
 */
export function safeHref(href: string): string | undefined {
  let url: URL;
  try {
    url = new URL(decodeEntities(href).trim());
  } catch {
    return undefined;
  }
  return protocols.has(url.protocol) ? url.href : undefined;
}

/** The named character references that people and models write. */
const named: Readonly<Record<string, string>> = {
  amp: '&',
  lt: '<',
  gt: '>',
  quot: '"',
  apos: "'",
  nbsp: '\u00a0',
  ndash: '–',
  mdash: '—',
  hellip: '…',
  copy: '©',
  reg: '®',
  trade: '™',
  euro: '€',
  pound: '£',
  yen: '¥',
  deg: '°',
  times: '×',
  middot: '·',
  bull: '•',
  laquo: '«',
  raquo: '»',
  lsquo: '‘',
  rsquo: '’',
  ldquo: '“',
  rdquo: '”',
  larr: '←',
  uarr: '↑',
  rarr: '→',
  darr: '↓',
  colon: ':',
  sol: '/',
  Tab: '\t',
  NewLine: '\n',
};

/** Reads character references, as a browser would have in HTML. */
export function decodeEntities(s: string): string {
  if (!s.includes('&')) return s;
  return s.replace(/&(?:#(\d{1,7})|#[xX]([\da-fA-F]{1,6})|([a-zA-Z]{2,8}));/g, (all, dec, hex, name) => {
    if (typeof name === 'string') return Object.hasOwn(named, name) ? (named[name] ?? all) : all;
    const code = typeof dec === 'string' ? Number(dec) : Number.parseInt(String(hex), 16);
    const valid = code > 0 && code <= 0x10ffff && !(code >= 0xd800 && code <= 0xdfff);
    return valid ? String.fromCodePoint(code) : '\ufffd';
  });
}
