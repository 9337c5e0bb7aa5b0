/** What a piece of code is, as far as its colour goes. */
export type Kind = 'comment' | 'string' | 'number' | 'keyword' | 'name' | 'added' | 'removed';

export interface Piece {
  readonly text: string;
  readonly kind?: Kind;
}

/** Longer code stays plain: colours are not worth a page that stutters. */
const most = 20_000;

/**
 * Rules are tried in order at each place; each match is a piece, and what none matches has no colour. A rule that looks
 * beyond its match needs one after it that takes the same characters, or each of them would be looked at again and again.
 */
type Rules = readonly (readonly [Kind | 'word' | 'plain', RegExp])[];

interface Language {
  rules: Rules;
  keywords?: ReadonlySet<string>;
  /** Whether keywords may be written in capitals. */
  anyCase?: boolean;
}

// No rule can match in two ways: reading stays linear whatever the code is.
const block = /\/\*[^]*?(?:\*\/|$)/y;
const double = /"(?:[^"\\\n]|\\[^])*"?/y;
const single = /'(?:[^'\\\n]|\\[^])*'?/y;
const backtick = /`(?:[^`\\]|\\[^])*`?/y;
const triple = /"""[^]*?(?:"""|$)|'''[^]*?(?:'''|$)/y;
const number = /\b(?:0[xob][\da-f_]+|\d[\d_]*(?:\.\d[\d_]*)?(?:e[+-]?\d+)?)[a-z%]*/iy;
const word = /[A-Za-z_$][\w$]*/y;
const slashes = /\/\/[^\n]*/y;
const hash = /#[^\n]*/y;
const dashes = /--[^\n]*/y;

const set = (words: string) => new Set(words.split(' '));

const braces: Rules = [
  ['comment', slashes],
  ['comment', block],
  ['string', double],
  ['string', single],
  ['string', backtick],
  ['number', number],
  ['word', word],
];

const script =
  'as async await break case catch class const continue debugger default delete do else enum export extends false finally for from function get if implements import in instanceof interface let new null of private protected public readonly return satisfies set static super switch this throw true try type typeof undefined var void while yield';
const clike =
  'abstract alignas auto bool boolean break byte case catch char class const constexpr continue default delete do double else enum explicit export extends extern false final finally float for foreach friend goto if implements import in inline int interface internal is let long mut mutable namespace new null nullptr operator out override package private protected public readonly ref return sealed short signed sizeof static struct super switch synchronized template this throw throws true try typedef typename uint union unsigned using var virtual void volatile where while';

const languages: Readonly<Record<string, Language>> = {
  js: { rules: braces, keywords: set(script) },
  go: {
    rules: braces,
    keywords: set(
      'any bool break byte case chan const continue default defer else error fallthrough false float64 for func go goto if import int int64 interface iota map nil package range return rune select string struct switch true type uint64 var',
    ),
  },
  rust: {
    // A lifetime is no string.
    rules: braces.map((rule) => (rule[1] === single ? (['string', /'(?:[^'\\\n]|\\.[^'\n]*)'/y] as const) : rule)),
    keywords: set(
      'as async await bool break const continue crate dyn else enum extern f64 false fn for i32 i64 if impl in let loop match mod move mut pub ref return self Self static str String struct super trait true type u32 u64 u8 unsafe use usize where while',
    ),
  },
  c: { rules: [['keyword', /^[ \t]*#[ \t]*\w+/my], ...braces], keywords: set(clike) },
  python: {
    rules: [
      ['comment', hash],
      ['string', triple],
      ['string', double],
      ['string', single],
      ['keyword', /@[\w.]+/y],
      ['number', number],
      ['word', word],
    ],
    keywords: set(
      'and as assert async await break case class continue def del elif else except False finally for from global if import in is lambda match None nonlocal not or pass raise return self True try while with yield',
    ),
  },
  shell: {
    rules: [
      ['comment', /(?<![^\s;])#[^\n]*/y],
      ['string', double],
      ['string', /'[^']*'?/y],
      ['name', /\$(?:\w+|\{[^}\n]*\}?)/y],
      ['word', /[A-Za-z_][\w-]*/y],
    ],
    keywords: set(
      'begin case def do done elif else elsif end esac export fi for function if in local module nil require return self then unless until while yield FROM RUN COPY ENV CMD ENTRYPOINT WORKDIR EXPOSE ARG USER',
    ),
  },
  yaml: {
    rules: [
      ['comment', /(?<!\S)#[^\n]*/y],
      ['name', /(?<=^[ \t]*(?:- )?)[\w./-]+(?=[ \t]*[:=](?:\s|$))|^\[[^\]\n]*\]/my],
      ['string', triple],
      ['string', double],
      ['string', single],
      ['number', number],
      ['word', word],
    ],
    keywords: set('true false null yes no on off'),
  },
  sql: {
    rules: [
      ['comment', dashes],
      ['comment', block],
      ['string', /'(?:[^']|'')*'?/y],
      ['name', /"[^"\n]*"?/y],
      ['number', number],
      ['word', word],
    ],
    anyCase: true,
    keywords: set(
      'add all alter and any as asc begin between bigint boolean by cascade case check column commit constraint create cross date default delete desc distinct drop else end exists false foreign from full function group having if in index inner insert int integer into is join key left like limit not null numeric offset on or order outer primary references returning right rollback select set table text then timestamp true union unique update using values view when where with',
    ),
  },
  json: {
    rules: [
      ['comment', slashes],
      ['name', /"(?:[^"\\\n]|\\[^])*"(?=\s*:)/y],
      ['string', double],
      ['number', /-?\d[\d.]*(?:e[+-]?\d+)?/iy],
      ['word', word],
    ],
    keywords: set('true false null'),
  },
  html: {
    rules: [
      ['comment', /<!--[^]*?(?:-->|$)/y],
      ['keyword', /<[/!?]?[\w:-]+|\/?>/y],
      ['name', /[\w:@.-]+(?==)/y],
      ['plain', /[\w:@.-]+/y],
      ['string', /(?<==)"[^"]*"?|(?<==)'[^']*'?/y],
    ],
  },
  css: {
    rules: [
      ['comment', block],
      ['string', double],
      ['string', single],
      ['keyword', /@[\w-]+|![\w-]+/y],
      ['number', /#[\da-f]{3,8}\b|-?\d[\d.]*(?:[a-z]+|%)?/iy],
      ['name', /[A-Za-z-]+(?=\s*:\s)/y],
      ['plain', /[A-Za-z-]+/y],
    ],
  },
  diff: {
    rules: [
      ['keyword', /^(?:@@|diff|index|\+\+\+|---)[^\n]*/my],
      ['added', /^\+[^\n]*/my],
      ['removed', /^-[^\n]*/my],
    ],
  },
};

const aliases: Readonly<Record<string, string>> = {
  javascript: 'js',
  jsx: 'js',
  mjs: 'js',
  ts: 'js',
  tsx: 'js',
  typescript: 'js',
  golang: 'go',
  rs: 'rust',
  cpp: 'c',
  'c++': 'c',
  h: 'c',
  java: 'c',
  kotlin: 'c',
  kt: 'c',
  swift: 'c',
  cs: 'c',
  csharp: 'c',
  'c#': 'c',
  php: 'c',
  dart: 'c',
  scala: 'c',
  py: 'python',
  python3: 'python',
  sh: 'shell',
  bash: 'shell',
  zsh: 'shell',
  console: 'shell',
  rb: 'shell',
  ruby: 'shell',
  dockerfile: 'shell',
  makefile: 'shell',
  yml: 'yaml',
  toml: 'yaml',
  ini: 'yaml',
  env: 'yaml',
  postgres: 'sql',
  postgresql: 'sql',
  sqlite: 'sql',
  jsonc: 'json',
  json5: 'json',
  xml: 'html',
  svg: 'html',
  vue: 'html',
  scss: 'css',
  less: 'css',
  patch: 'diff',
};

function find(name: string): Language | undefined {
  const lower = name.toLowerCase();
  const known = Object.hasOwn(aliases, lower) ? aliases[lower] : lower;
  return known !== undefined && Object.hasOwn(languages, known) ? languages[known] : undefined;
}

/** Code in pieces that say what they are, or undefined where it stays plain. Put together they are the code. */
export function highlight(code: string, name: string): readonly Piece[] | undefined {
  const language = find(name);
  if (!language || code.length > most) return undefined;
  const pieces: Piece[] = [];
  let plain = 0;
  let at = 0;

  const put = (kind: Kind, end: number) => {
    if (plain < at) pieces.push({ text: code.slice(plain, at) });
    pieces.push({ text: code.slice(at, end), kind });
    plain = end;
  };

  while (at < code.length) {
    let end = at + 1;
    for (const [kind, rule] of language.rules) {
      rule.lastIndex = at;
      const text = rule.exec(code)?.[0];
      if (text === undefined || text === '') continue;
      end = at + text.length;
      const meaning = kind === 'word' ? wordKind(language, text, code, end) : kind === 'plain' ? undefined : kind;
      if (meaning !== undefined) put(meaning, end);
      break;
    }
    at = end;
  }
  if (plain < code.length) pieces.push({ text: code.slice(plain) });
  return pieces;
}

/** A word is a keyword, or a name where something is called by it. */
function wordKind(language: Language, text: string, code: string, end: number): Kind | undefined {
  if (language.keywords?.has(language.anyCase ? text.toLowerCase() : text)) return 'keyword';
  return code[end] === '(' ? 'name' : undefined;
}
