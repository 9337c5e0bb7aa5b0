import { render, screen } from '@testing-library/react';
import userEvent from '@testing-library/user-event';

import { readAll, readMore, type Blocks } from '../../src/markdown/blocks';
import { safeHref } from '../../src/markdown/links';
import { Markdown } from '../../src/markdown/Markdown';
import { chunks, random } from './random';

const pieces = [
  '# A heading\n\n',
  'A paragraph with **bold**, *slanted*, `code` and ~~gone~~.\n\n',
  'Two lines\nof one paragraph\n\n',
  '- one\n- two\n  - two and a half\n- three\n\n',
  '- loose\n\n- list\n\n  with a paragraph\n\n',
  '1. first\n2. second\n\n',
  '- [x] done\n- [ ] not done\n\n',
  '```go\nfunc main() {\n\n\tprintln("hi")\n}\n```\n\n',
  '~~~\nplain\n~~~\n\n',
  '    indented code\n    goes on\n\n',
  '| a | b |\n|---|:-:|\n| 1 | 2 |\n| 3 | `4` |\n\n',
  '> a quote\n> of two lines\n>\n> - with a list\n\n',
  'Setext\n======\n\n',
  '---\n\n',
  'See https://example.com/a_b?c=1 and [a link](https://example.com "title").\n\n',
  '<div onclick="x()">html</div>\n\n',
  'Entities: &lt; &amp; &#x41; 1 < 2 & 3 > 2\n\n',
  'Line one  \nline two\\\nline three\n\n',
  'Zwölf Äpfel, 日本語, 👩‍👩‍👧 emoji\n\n',
  '![a picture](https://example.com/p.png)\n\n',
  'text right before\n```\na fence without a gap\n```\n',
  'Windows lines\r\nare lines\r\n\r\n',
];

function document(next: () => number): string {
  const n = 1 + Math.floor(next() * 12);
  return Array.from({ length: n }, () => pieces[Math.floor(next() * pieces.length)]).join('');
}

const html = (text: string, growing = false) => {
  const { container, unmount } = render(<Markdown text={text} growing={growing} />);
  const out = container.innerHTML;
  unmount();
  return out;
};

describe('a growing text', () => {
  test.each(Array.from({ length: 120 }, (_, i) => i + 1))('[19] reads in any pieces as at once (seed %i)', (seed) => {
    const next = random(seed);
    const text = document(next);
    let blocks: Blocks | undefined;
    let grown = '';
    for (const chunk of chunks(text, next, 17)) {
      grown += chunk;
      blocks = readMore(grown, blocks);
    }
    expect(blocks?.blocks.map((b) => b.raw)).toEqual(readAll(text).blocks.map((b) => b.raw));
    expect(blocks?.blocks.map((b) => b.token)).toEqual(readAll(text).blocks.map((b) => b.token));
  });

  test.each([7, 8, 9])('[19] is drawn the same in the end (seed %i)', (seed) => {
    const next = random(seed);
    const text = document(next);
    const { container, rerender, unmount } = render(<Markdown text="" growing />);
    let grown = '';
    for (const chunk of chunks(text, next, 23)) {
      grown += chunk;
      rerender(<Markdown text={grown} growing />);
    }
    rerender(<Markdown text={text} />);
    const drawn = container.innerHTML;
    unmount();
    expect(drawn).toBe(html(text));
  });

  test('[19] keeps the elements of finished blocks', () => {
    const start = 'First.\n\nSecond.\n\nThird.\n\nFourth.\n\nFifth';
    const { container, rerender } = render(<Markdown text={start} growing />);
    const before = [...container.querySelectorAll('p')];
    rerender(<Markdown text={`${start} goes on.\n\nSixth`} growing />);
    const after = [...container.querySelectorAll('p')];
    expect(after).toHaveLength(6);
    expect(after.slice(0, 4)).toEqual(before.slice(0, 4));
  });

  test('[19] never freezes what later text can change', () => {
    const a = readMore('One.\n\nTwo.\n\nThree.\n\nFour.\n\n- item');
    const b = readMore('One.\n\nTwo.\n\nThree.\n\nFour.\n\n- item\n- more', a);
    expect(b.blocks[0]).toBe(a.blocks[0]);
    expect(b.blocks[1]).toBe(a.blocks[1]);
    expect(b.blocks.at(-1)?.raw).toBe('- item\n- more');
  });

  test('[19] resolves a link that is defined below it once the text is whole', () => {
    const text = 'See [the page][p].\n\nMore.\n\nAnd more.\n\nThe end.\n\n[p]: https://example.com/';
    const { rerender } = render(<Markdown text="See [the page][p].\n\n" growing />);
    rerender(<Markdown text={text} growing />);
    rerender(<Markdown text={text} />);
    expect(screen.getByRole('link', { name: 'the page' })).toHaveAttribute('href', 'https://example.com/');
  });
});

describe('unfinished constructs', () => {
  test.each([
    ['**bold', '<strong>bold</strong>'],
    ['a **', 'a '],
    ['`code', '<code dir="ltr">code</code>'],
    ['see [a link](https://exam', 'see a link'],
    ['see [a li', 'see a li'],
    ['```js\nlet a', 'let a'],
    ['| a | b |', '<th dir="auto" scope="col">b</th>'],
    ['| a | b |\n|--', '<th dir="auto" scope="col">b</th>'],
    ['- one\n- **two', '<strong>two</strong>'],
  ])('[19] %j is drawn as what it will be', (text, expected) => {
    expect(html(text, true)).toContain(expected);
  });

  test('[19] every prefix of everything can be drawn', () => {
    const text = pieces.join('');
    const { rerender } = render(<Markdown text="" growing />);
    expect(() => {
      for (let i = 1; i <= text.length; i += 3) rerender(<Markdown text={text.slice(0, i)} growing />);
    }).not.toThrow();
  });
});

describe('safety', () => {
  const corpus = [
    '<script>alert(1)</script>',
    '<img src=x onerror=alert(1)>',
    '<iframe src="https://evil.example"></iframe>',
    '<style>*{display:none}</style>',
    '<form action="https://evil.example"><input name=a></form>',
    '<div style="position:fixed;inset:0">over</div>',
    '<a id="root" name="composer">clash</a>',
    '<svg onload=alert(1)>',
    '[a](javascript:alert(1))',
    '[a](JaVaScRiPt:alert(1))',
    '[a](java\tscript:alert(1))',
    '[a](&#106;avascript:alert(1))',
    '[a](javascript&colon;alert(1))',
    '[a](data:text/html,<script>alert(1)</script>)',
    '[a](vbscript:msgbox(1))',
    '[a](//evil.example/x)',
    '[a](/api/ana/tasks)',
    '[a](\\\\evil.example)',
    '<javascript:alert(1)>',
    '![a](https://evil.example/pixel.png)',
    '![a](data:image/svg+xml,<svg onload=alert(1)>)',
    '[![a](https://evil.example/p.png)](javascript:alert(1))',
    '[r]\n\n[r]: javascript:alert(1)',
    '![r]\n\n[r]: https://evil.example/ref.png',
    '| <img src=x onerror=alert(1)> |\n|---|\n| [x](javascript:alert(1)) |',
    '```html\n<script>alert(1)</script>\n```',
    '- [x] <input type=image src=x onerror=alert(1)>',
    'a <b>b</b> <script src="https://evil.example"></script> c',
  ];

  test.each(corpus)('[27] %j', (text) => {
    for (const growing of [false, true]) {
      const { container, unmount } = render(<Markdown text={text} growing={growing} />);
      expect(
        container.querySelectorAll('script, iframe, style, img, form, object, embed, svg[onload], [id]'),
      ).toHaveLength(0);
      for (const el of container.querySelectorAll('*')) {
        for (const a of el.attributes) {
          expect(a.name).not.toMatch(/^on|^style$|^src$|^action$/);
        }
      }
      for (const a of container.querySelectorAll('a')) {
        expect(a.protocol).toMatch(/^(https?|mailto):$/);
        expect(a.host).not.toBe(location.host);
        expect(a.rel).toBe('noopener noreferrer nofollow');
      }
      unmount();
    }
  });

  test('[27] HTML is shown as the text it is', () => {
    const { container } = render(<Markdown text={'a <b onclick="x()">b</b>\n\n<div>block</div>'} />);
    expect(container).toHaveTextContent('a <b onclick="x()">b</b>');
    expect(container).toHaveTextContent('<div>block</div>');
  });

  test.each([
    ['https://example.com/a?b=c&amp;d', 'https://example.com/a?b=c&d'],
    ['mailto:ana@example.com', 'mailto:ana@example.com'],
    ['http://example.com', 'http://example.com/'],
    ['ftp://example.com', undefined],
    ['example.com', undefined],
    ['#top', undefined],
    ['', undefined],
  ])('[27] safeHref(%j)', (href, expected) => {
    expect(safeHref(href)).toBe(expected);
  });
});

describe('code', () => {
  test('[22] names its language, breaks lines on demand and copies', async () => {
    const user = userEvent.setup();
    render(<Markdown text={'```ts title=x\nconst a = 1;\n```'} />);
    expect(screen.getByText('ts')).toBeInTheDocument();
    const pre = screen.getByLabelText('Code, ts');
    expect(pre).toHaveClass('overflow-x-auto');
    await user.click(screen.getByRole('button', { name: 'Wrap lines' }));
    expect(pre).toHaveClass('whitespace-pre-wrap');
    await user.click(screen.getByRole('button', { name: 'Copy code' }));
    expect(await navigator.clipboard.readText()).toBe('const a = 1;');
    expect(screen.getByRole('button', { name: 'Copied' })).toBeInTheDocument();
  });
});

test('entities are read in text and left alone in code', () => {
  const { container } = render(<Markdown text={'a &lt; b &amp; c\n\n`&lt;`'} />);
  expect(container.querySelector('p')).toHaveTextContent('a < b & c');
  expect(container.querySelector('code')).toHaveTextContent('&lt;');
});
