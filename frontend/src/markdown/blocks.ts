import { Lexer, type Token } from 'marked';

/** One block of a text, as far as it is known. The same object as long as it does not change. */
export interface Block {
  /** Where it begins, which is also its identity while the text grows. */
  readonly start: number;
  readonly raw: string;
  readonly token: Token;
}

/** A text in blocks. */
export interface Blocks {
  readonly text: string;
  readonly blocks: readonly Block[];
  /** Whether the whole text was read at once, so that links can be defined below their use. */
  readonly whole: boolean;
}

const none: Blocks = { text: '', blocks: [], whole: true };

/** How many of the last blocks may still change when text is appended. */
const open = 3;

function lex(text: string, start: number): Block[] | undefined {
  const blocks: Block[] = [];
  let at = start;
  for (const token of new Lexer({ gfm: true }).lex(text.slice(start))) {
    const raw = token.raw;
    if (token.type !== 'space' && token.type !== 'def') blocks.push({ start: at, raw, token });
    at += raw.length;
  }
  // The lexer leaves nothing out, or positions would not hold.
  return at === text.length ? blocks : undefined;
}

/** Line ends as the lexer wants them; it would change them itself and lose our positions. */
function normal(text: string): string {
  return text.includes('\r') ? text.replace(/\r\n?/g, '\n') : text;
}

/** Reads a whole text. */
export function readAll(text: string, before: Blocks = none): Blocks {
  const source = normal(text);
  if (before.whole && before.text === source) return before;
  const blocks =
    lex(source, 0) ?? new Lexer({ gfm: true }).lex(source).map((token, i) => ({ start: i, raw: token.raw, token }));
  return { text: source, blocks: keep(blocks, before.blocks), whole: true };
}

/**
 * Reads a text that has grown: all but the last blocks stay the very objects
 * they were, so that what is finished is neither read nor drawn again.
 */
export function readMore(text: string, before: Blocks = none): Blocks {
  const source = normal(text);
  if (before.text === source) return before;
  if (!source.startsWith(before.text)) return { ...readAll(source), whole: false };
  const frozen = before.blocks.slice(0, Math.max(0, before.blocks.length - open));
  const start = before.blocks[frozen.length]?.start ?? 0;
  const fresh = lex(source, start);
  if (!fresh) return { ...readAll(source), whole: false };
  return { text: source, blocks: [...frozen, ...keep(fresh, before.blocks)], whole: false };
}

/** Blocks that read as before are the objects of before. */
function keep(blocks: readonly Block[], before: readonly Block[]): readonly Block[] {
  const known = new Map(before.map((b) => [b.start, b]));
  return blocks.map((b) => {
    const old = known.get(b.start);
    // A paragraph may mean something else once a link of it is defined.
    return old?.raw === b.raw && old.token.type === b.token.type && !old.raw.includes('[') ? old : b;
  });
}

/**
 * Completes what is half written at the end of a growing text, so that it is
 * drawn as what it will be: emphasis, code, links, the head of a table.
 */
export function mend(raw: string): string {
  const lines = raw.split('\n');
  const head = lines[0] ?? '';
  if (/^ {0,3}\|.*\|/.test(head) && lines.length <= 2 && /^[\s|:-]*$/.test(lines[1] ?? '')) {
    const columns = head
      .trim()
      .replace(/^\||\|$/g, '')
      .split(/(?<!\\)\|/).length;
    return `${head}\n|${' --- |'.repeat(columns)}`;
  }
  let s = raw;
  const last = s.lastIndexOf('\n\n') + 1;
  const tail = s.slice(last);
  const ticks = tail.match(/(?<!\\)`/g)?.length ?? 0;
  if (ticks % 2 === 1) {
    if (s.endsWith('`')) s = s.slice(0, -1);
    else return `${s}\``;
  }
  s = s
    // A link whose address is being written is its words already.
    .replace(/!?\[([^[\]\n]*)\]\([^()\s]*$/, '$1')
    .replace(/!?\[([^[\]\n]*)$/, '$1');
  const stars = s.slice(last).match(/(?<!\\)\*\*/g)?.length ?? 0;
  if (stars % 2 === 1) {
    if (s.endsWith('**')) s = s.slice(0, -2);
    else s = s.endsWith('*') ? `${s}*` : `${s.trimEnd()}**`;
  }
  return s;
}
