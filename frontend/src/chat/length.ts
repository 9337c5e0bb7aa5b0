/** Characters as the server counts them: code points. */
export function size(text: string): number {
  let n = text.length;
  for (let i = 0; i + 1 < text.length; i++) {
    const c = text.charCodeAt(i);
    if (c < 0xd800 || c > 0xdbff) continue;
    const next = text.charCodeAt(i + 1);
    if (next >= 0xdc00 && next <= 0xdfff) {
      n--;
      i++;
    }
  }
  return n;
}

/** What lies between the parts of a message. */
const gap = '\n\n';

/** What is sent: the words that were typed, then what was pasted beside them. */
export function join(text: string, blocks: readonly string[]): string {
  if (blocks.length === 0) return text;
  return [text, ...blocks].filter((part) => part.trim() !== '').join(gap);
}

/** The size of what is sent, without putting it together. */
export function joinedSize(text: string, blocks: readonly number[]): number {
  const typed = blocks.length > 0 && text.trim() === '' ? [] : [size(text)];
  const parts = [...typed, ...blocks];
  return parts.reduce((sum, n) => sum + n, 0) + gap.length * Math.max(0, parts.length - 1);
}
