import { highlight, type Kind } from './highlight';

/** The pieces of one kind. */
const of = (kind: Kind, code: string, lang: string) =>
  highlight(code, lang)
    ?.filter((p) => p.kind === kind)
    .map((p) => p.text);

it.each<[string, string, Kind, string[]]>([
  ['ts', 'const a = "x // y"; // z', 'string', ['"x // y"']],
  ['ts', 'const a = "x // y"; // z', 'comment', ['// z']],
  ['typescript', 'return f(1.5e3) + `a${b}`', 'keyword', ['return']],
  ['js', 'return f(1.5e3)', 'name', ['f']],
  ['js', 'let it = "a \\" b', 'string', ['"a \\" b']],
  ['go', 'func main() {\n\tprintln("hi", 0x1F)\n}', 'name', ['main', 'println']],
  ['go', 'x := 0x1F + 2', 'number', ['0x1F', '2']],
  ['py', '"""a\n# b"""\n# c', 'comment', ['# c']],
  ['rust', "fn f<'a>(x: &'a str) -> char { 'x' }", 'string', ["'x'"]],
  ['bash', 'echo "$A" # note\na#b', 'comment', ['# note']],
  ['sql', "SELECT 'it''s' FROM t -- end", 'string', ["'it''s'"]],
  ['sql', 'Select 1 from t', 'keyword', ['Select', 'from']],
  ['json', '{"a": "b", "c": -1.5}', 'name', ['"a"', '"c"']],
  ['json', '{"a": "b", "c": -1.5}', 'number', ['-1.5']],
  ['html', '<a href="x">t</a>', 'keyword', ['<a', '>', '</a', '>']],
  ['css', 'a { color: #fff; margin: 4px }', 'name', ['color', 'margin']],
  ['yaml', 'a: 1\nb-c: true # x', 'name', ['a', 'b-c']],
  ['diff', '@@ 1 @@\n-a\n+b\n c', 'added', ['+b']],
])('[22] %s: %s has %s', (lang, code, kind, pieces) => {
  expect(of(kind, code, lang)).toEqual(pieces);
});

it('[22] put together the pieces are the code, whatever it is', () => {
  const signs = [
    '"',
    "'",
    '`',
    '/*',
    '*/',
    '//',
    '#',
    '\\',
    '\n',
    ' ',
    'a',
    'if',
    '1',
    '(',
    '<',
    '>',
    '=',
    ':',
    '-',
    '$',
  ];
  let seed = 7;
  const next = () => (seed = (seed * 1103515245 + 12345) % 2 ** 31) / 2 ** 31;
  for (const lang of ['js', 'go', 'rust', 'c', 'python', 'shell', 'yaml', 'sql', 'json', 'html', 'css', 'diff']) {
    for (let i = 0; i < 50; i++) {
      const code = Array.from({ length: 60 }, () => signs[Math.floor(next() * signs.length)]).join('');
      expect(
        highlight(code, lang)
          ?.map((p) => p.text)
          .join(''),
      ).toBe(code);
    }
  }
});

it('[22] leaves alone what it does not know, and what is too long', () => {
  expect(highlight('x', 'klingon')).toBeUndefined();
  expect(highlight('x', 'constructor')).toBeUndefined();
  expect(highlight('x', '__proto__')).toBeUndefined();
  expect(highlight('1'.repeat(20_001), 'js')).toBeUndefined();
});
