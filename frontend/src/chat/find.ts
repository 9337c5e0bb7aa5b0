import type { Run } from '../protocol/types';
import { textOf } from './answer';

/** Where something was found: in which run, and whether in the message or its answer. */
export interface Hit {
  readonly runId: string;
  readonly place: 'message' | 'answer';
  /** Which of the hits in this place it is. */
  readonly index: number;
}

/** More hits than anybody goes through. */
const most = 2000;

/** As it is compared: without case. Lengths may change, so positions in it say nothing about the text. */
export function folded(text: string): string {
  return text.toLocaleLowerCase();
}

/** Everything that a conversation says, oldest first, where it contains the words. */
export function findIn(runs: readonly Run[], words: string): readonly Hit[] {
  const wanted = folded(words.trim());
  const hits: Hit[] = [];
  if (wanted === '') return hits;
  for (const run of runs) {
    for (const place of ['message', 'answer'] as const) {
      const text = folded(place === 'message' ? run.message.text : textOf(run));
      let index = 0;
      for (let at = text.indexOf(wanted); at >= 0; at = text.indexOf(wanted, at + wanted.length)) {
        if (hits.length === most) return hits;
        hits.push({ runId: run.run_id, place, index: index++ });
      }
    }
  }
  return hits;
}

/** Where the words stand in what is drawn; not across the borders of bold, links and the like. */
export function rangesIn(root: Node, words: string): Range[] {
  const wanted = folded(words.trim());
  const ranges: Range[] = [];
  if (wanted === '') return ranges;
  const walker = document.createTreeWalker(root, NodeFilter.SHOW_TEXT);
  for (let node = walker.nextNode(); node; node = walker.nextNode()) {
    const text = folded(node.nodeValue ?? '');
    if (text.length !== node.nodeValue?.length) continue; // its places would be wrong
    for (let at = text.indexOf(wanted); at >= 0; at = text.indexOf(wanted, at + wanted.length)) {
      const range = document.createRange();
      range.setStart(node, at);
      range.setEnd(node, at + wanted.length);
      ranges.push(range);
    }
  }
  return ranges;
}
