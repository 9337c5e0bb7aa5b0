import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import ts from 'typescript';

import { de } from './de';
import { deErrors } from './deErrors';
import { deMore } from './deMore';
import { deReplay } from './deReplay';
import { en } from './en';
import { errorTexts } from './errors';
import { day, duration, number, plural } from './format';
import { preferred, speak } from './language';
import { more } from './more';
import { r } from './replay';
import { t } from './t';

/** Every word of the page, wherever it stands. */
const allEnglish = { en, more, replay: r, errors: errorTexts };
const allGerman = { en: de, more: deMore, replay: deReplay, errors: deErrors };

const isObject = (v: unknown): v is object => typeof v === 'object' && v !== null;

/** Every word by its path, with what a function would have to be given. */
function leaves(words: object, path = ''): Map<string, unknown> {
  const found = new Map<string, unknown>();
  for (const [key, value] of Object.entries(words) as [string, unknown][]) {
    const at = path === '' ? key : `${path}.${key}`;
    if (isObject(value)) for (const [k, v] of leaves(value, at)) found.set(k, v);
    else found.set(at, value);
  }
  return found;
}

/** What German has in common with English. */
const same = new Set([
  ...[
    'en.app.name',
    'more.history.byModel',
    'more.provenance.parley',
    'en.search.parley',
    'replay.events.filters.assistant',
    'replay.events.actors.model',
    'replay.player.pause',
    'replay.events.raw',
    'replay.player.speeds.1',
    'replay.player.speeds.2',
    'replay.player.speeds.4',
  ],
  // The demo model understands no German.
  ...[0, 1, 2, 3].map((i) => `en.chat.empty.prompts.${i}`),
]);

describe('[65] the dictionaries', () => {
  const english = leaves(structure(allEnglish));
  const german = leaves(structure(allGerman));

  it('have the same keys', () => {
    expect([...german.keys()].sort()).toEqual([...english.keys()].sort());
    expect(english.size).toBeGreaterThan(200);
  });

  it('say everything, and each in its own language', () => {
    const left: string[] = [];
    for (const [path, word] of german) {
      if (word === '') left.push(`${path} is empty`);
      if (typeof word !== typeof english.get(path)) left.push(`${path} is a ${typeof word}`);
      if (typeof word === 'string' && word === english.get(path) && !same.has(path)) left.push(`${path} is English`);
    }
    expect(left).toEqual([]);
  });

  /** Copies a dictionary as it is now: speaking German changes the English one. */
  function structure(words: object): object {
    return Object.fromEntries(Object.entries(words).map(([k, v]) => [k, isObject(v) ? structure(v) : v]));
  }
});

it.each([
  [undefined, ['de-AT', 'en'], 'de'],
  [undefined, ['fr', 'en-GB', 'de'], 'en'],
  [undefined, ['fr'], 'en'],
  [undefined, [], 'en'],
  ['en', ['de'], 'en'],
  ['de', ['en'], 'de'],
  ['tlh', ['de'], 'de'],
  ['toString', ['en'], 'en'],
] as const)('[65] who has chosen %s and reads %s gets %s', (chosen, offered, language) => {
  expect(preferred(chosen, offered)).toBe(language);
});

it('[65] another language replaces every word, and how numbers and dates are written', async () => {
  const before = t.chat.send;
  const then = new Date(2026, 2, 5, 12);
  const now = new Date(2026, 5, 1, 12);
  expect([before, number(12_345), duration(1_234), day(then, now)]).toEqual(['Send', '12,345', '1.2 s', 'Mar 5']);
  expect([plural(1, { one: 'a', other: 'b' }), plural(0, { one: 'a', other: 'b' })]).toEqual(['a', 'b']);
  await speak('de', ['de-DE', 'en']);
  expect(document.documentElement.lang).toBe('de');
  expect([t.chat.send, number(12_345), duration(1_234), day(then, now)]).toEqual([
    'Senden',
    '12.345',
    '1,2 s',
    '5. März',
  ]);
  expect([t.tools.steps(1), t.tools.steps(2), t.chat.empty.prompts.length]).toEqual(['1 Schritt', '2 Schritte', 4]);
  const german = leaves(allGerman);
  expect([...leaves(allEnglish)].filter(([path, word]) => word !== german.get(path))).toEqual([]);
});

describe('[65] the sources of the page', () => {
  const root = join(__dirname, '..');
  const files = readdirSync(root, { recursive: true, encoding: 'utf8' }).filter(
    (f) => /\.tsx?$/.test(f) && !/\.test\.|^i18n\/|\.gen\.ts$/.test(f),
  );
  const parsed = files.map((f) =>
    ts.createSourceFile(f, readFileSync(join(root, f), 'utf8'), ts.ScriptTarget.ES2022, true),
  );
  const where = (node: ts.Node) => {
    const file = node.getSourceFile();
    return `${file.fileName}:${file.getLineAndCharacterOfPosition(node.getStart()).line + 1}: ${node.getText().slice(0, 60)}`;
  };

  it('hold no words of a language', () => {
    expect(files.length).toBeGreaterThan(50);
    expect(parsed.flatMap((f) => spoken(f)).map(where)).toEqual([]);
  });

  it('read no word while they are loaded, when it may still be English', () => {
    expect(parsed.flatMap((f) => early(f)).map(where)).toEqual([]);
  });

  it('are looked through by something that finds words', () => {
    const words = `const A = () => <p title="Some words" className="flex gap-2">Words {ok ? 'Yes' : <b>{n} of</b>} {t.a.b}{' '}</p>;
      const rows = [t.keys.send]; const late = () => t.keys.send; const text = 'This is a sentence.';`;
    const file = ts.createSourceFile('a.tsx', words, ts.ScriptTarget.ES2022, true);
    expect(spoken(file).map((n) => n.getText().trim())).toEqual([
      '"Some words"',
      'Words',
      "'Yes'",
      'of',
      "'This is a sentence.'",
    ]);
    expect(early(file).map((n) => n.getText())).toEqual(['t.keys']);
  });
});

const wordy = /\p{L}{2}/u;
/** Attributes and properties of ours that are read or heard. */
const heard = /^(aria-(label|description|roledescription|valuetext)|title|placeholder|alt|label|text)$/;

/** Texts for people that stand in the source. */
function spoken(file: ts.SourceFile): ts.Node[] {
  const found: ts.Node[] = [];
  const isText = (n: ts.Node): n is ts.StringLiteralLike => ts.isStringLiteralLike(n) && wordy.test(n.text);
  /** The values that an expression may have as a child of an element. */
  const values = (n: ts.Expression): ts.Expression[] =>
    ts.isConditionalExpression(n)
      ? [...values(n.whenTrue), ...values(n.whenFalse)]
      : ts.isParenthesizedExpression(n)
        ? values(n.expression)
        : ts.isBinaryExpression(n)
          ? values(n.right)
          : [n];
  const visit = (n: ts.Node): void => {
    if (ts.isJsxText(n) && wordy.test(n.text)) found.push(n);
    else if (ts.isJsxAttribute(n) && heard.test(n.name.getText()) && n.initializer && isText(n.initializer)) {
      found.push(n.initializer);
    } else if (ts.isJsxExpression(n) && n.expression && !ts.isJsxAttribute(n.parent)) {
      found.push(...values(n.expression).filter(isText));
    } else if (isText(n) && file.fileName.endsWith('.tsx') && /^[A-Z]\p{L}*( \p{L}+){2,}/u.test(n.text) && !thrown(n)) {
      found.push(n);
    }
    ts.forEachChild(n, visit);
  };
  visit(file);
  return found;
}

/** What is thrown is for whoever reads the console. */
function thrown(n: ts.Node): boolean {
  return ts.isNewExpression(n.parent) && n.parent.expression.getText().endsWith('Error');
}

/** Words that are read outside of any function. A whole section may be: its words are replaced where they are. */
function early(file: ts.SourceFile): ts.Node[] {
  const found: ts.Node[] = [];
  const visit = (n: ts.Node): void => {
    if (ts.isFunctionLike(n)) return;
    const section =
      ts.isPropertyAccessExpression(n) && ts.isIdentifier(n.expression) && /^(t|more|r|en)$/.test(n.expression.text);
    if (section && (ts.isPropertyAccessExpression(n.parent) || ts.isElementAccessExpression(n.parent))) found.push(n);
    ts.forEachChild(n, visit);
  };
  visit(file);
  return found;
}
