import { Lexer, type MarkedToken, type Token, type Tokens } from 'marked';
import { createContext, Fragment, memo, use, useRef, type ReactNode } from 'react';

import { t } from '../i18n/t';
import { cx } from '../ui/cx';
import { mend, readAll, readMore, type Block, type Blocks } from './blocks';
import { CodeBlock } from './CodeBlock';
import { decodeEntities, safeHref } from './links';

export interface MarkdownProps {
  text: string;
  /** Whether more text may follow. */
  growing?: boolean;
}

/** Draws markdown as React elements. No text ever becomes HTML. */
export const Markdown = memo(function Markdown({ text, growing = false }: MarkdownProps) {
  const blocks = useBlocks(text, growing);
  const last = growing ? blocks.length - 1 : -1;
  return (
    <div className="prose">
      {blocks.map((block, i) => (
        <BlockView key={block.start} block={block} open={i === last} />
      ))}
    </div>
  );
});

/** The blocks of a text, read anew only where it has grown. */
function useBlocks(text: string, growing: boolean): readonly Block[] {
  const memory = useRef<Blocks>(undefined);
  // What was read before is a cache, never a source: reading it while drawing changes no result.
  /* eslint-disable react-hooks/refs */
  const read = growing ? readMore(text, memory.current) : readAll(text, memory.current);
  memory.current = read;
  /* eslint-enable react-hooks/refs */
  return read.blocks;
}

/** One block. The last of a growing text is shown as it will be once it is whole. */
const BlockView = memo(function BlockView({ block, open }: { block: Block; open: boolean }) {
  const { token, raw } = block;
  const mended = open && token.type !== 'code' && token.type !== 'hr' ? mend(raw) : raw;
  // The same list of elements either way: what stands stays when the block is done.
  return <Open value={open}>{(mended === raw ? [token] : new Lexer({ gfm: true }).lex(mended)).map(drawKeyed)}</Open>;
});

/** Whether the block that is drawn may still grow. */
const Open = createContext(false);

/** Code of a block that may grow is whole once its fence is closed. */
function Code({ token }: { token: Tokens.Code }) {
  const open = use(Open);
  const closed = /\n[ \t>]*(?:`{3,}|~{3,})\s*$/.test(token.raw);
  return (
    <CodeBlock code={token.text} growing={open && !closed} {...(token.lang !== undefined && { lang: token.lang })} />
  );
}

function drawKeyed(token: Token, i: number): ReactNode {
  return <Fragment key={i}>{draw(token)}</Fragment>;
}

function drawAll(tokens: readonly Token[] | undefined): ReactNode {
  return tokens?.map(drawKeyed);
}

const align = { left: undefined, center: 'center', right: 'end' } as const;

function draw(any: Token): ReactNode {
  const token = any as MarkedToken;
  switch (token.type) {
    case 'space':
    case 'def':
      return null;
    case 'paragraph':
      return <p dir="auto">{drawAll(token.tokens)}</p>;
    case 'heading':
      return heading(token);
    case 'hr':
      return <hr />;
    case 'blockquote':
      return <blockquote dir="auto">{drawAll(token.tokens)}</blockquote>;
    case 'list':
      return list(token);
    case 'code':
      return <Code token={token} />;
    case 'table':
      return table(token);
    case 'html':
      // What looks like HTML is shown as what it is: text.
      return token.block ? (
        <p dir="auto" className="whitespace-pre-wrap">
          {token.raw.trimEnd()}
        </p>
      ) : (
        token.raw
      );
    case 'text':
      return token.tokens ? drawAll(token.tokens) : decodeEntities(token.text);
    case 'escape':
      return token.text;
    case 'strong':
      return <strong>{drawAll(token.tokens)}</strong>;
    case 'em':
      return <em>{drawAll(token.tokens)}</em>;
    case 'del':
      return <del>{drawAll(token.tokens)}</del>;
    case 'codespan':
      return <code dir="ltr">{token.text}</code>;
    case 'br':
      return <br />;
    case 'link':
      return link(token.href, token.title, drawAll(token.tokens));
    case 'image':
      // A remote picture would tell its server who reads what.
      return link(token.href, token.title, t.markdown.image(decodeEntities(token.text)));
    case 'checkbox':
      return null; // drawn with its list item
    case 'list_item':
      return drawAll(token.tokens);
    default:
      return (any as { raw: string }).raw;
  }
}

function link(href: string, title: string | null | undefined, children: ReactNode): ReactNode {
  const safe = safeHref(href);
  if (safe === undefined) return children;
  return (
    <a href={safe} title={title ?? undefined} target="_blank" rel="noopener noreferrer nofollow">
      {children}
    </a>
  );
}

/** The page has its h1 and each message an h2; what a message says comes below. */
function heading(token: Tokens.Heading): ReactNode {
  const Tag = (['h3', 'h3', 'h4', 'h5', 'h6', 'h6'] as const)[token.depth - 1] ?? 'h6';
  return (
    <Tag dir="auto" className={cx(token.depth === 1 && 'text-h2')}>
      {drawAll(token.tokens)}
    </Tag>
  );
}

function list(token: Tokens.List): ReactNode {
  const items = token.items.map((item, i) => (
    <li key={i} dir="auto" className={cx(item.task && 'task')}>
      {item.task && (
        <input
          type="checkbox"
          checked={item.checked === true}
          readOnly
          disabled
          aria-label={item.checked === true ? t.markdown.done : t.markdown.notDone}
        />
      )}
      {drawAll(item.tokens)}
    </li>
  ));
  return token.ordered ? <ol start={token.start === '' ? 1 : token.start}>{items}</ol> : <ul>{items}</ul>;
}

function table(token: Tokens.Table): ReactNode {
  const cell = (c: Tokens.TableCell, i: number) => {
    const Tag = c.header ? 'th' : 'td';
    return (
      <Tag key={i} dir="auto" className={c.align ? align[c.align] : undefined} scope={c.header ? 'col' : undefined}>
        {drawAll(c.tokens)}
      </Tag>
    );
  };
  return (
    <div className="table-box" tabIndex={0} role="region" aria-label={t.markdown.table}>
      <table>
        <thead>
          <tr>{token.header.map(cell)}</tr>
        </thead>
        {token.rows.length > 0 && (
          <tbody>
            {token.rows.map((row, i) => (
              <tr key={i}>{row.map(cell)}</tr>
            ))}
          </tbody>
        )}
      </table>
    </div>
  );
}
