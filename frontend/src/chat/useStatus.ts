import { useEffect, useRef } from 'react';

import { t } from '../i18n/t';
import type { Call, Conversation, Run } from '../protocol/types';
import { announcement, plannedSummary } from '../tools/summaries';
import { useAnnounce } from '../ui/announce';
import { failureOf, textOf } from './answer';

interface Seen {
  conversation: string;
  runs: Map<string, Run['status']>;
  calls: Map<string, Call['status']>;
}

/** How much of a finished answer is said aloud. */
const said = 160;

/**
 * The beginning of a text without the marks of markdown, which would be read out. Marks inside of words, as in
 * OPENAI_API_KEY, and between spaces, as in 2 * 3, are no marks.
 */
export function spoken(text: string): string {
  const plain = text
    .replace(/^[ |:-]+$/gm, '')
    .replace(/^\s*(?:[-+*>]|#{1,6})\s+|[`|]+/gm, '')
    .replace(/(?<![\p{L}\p{N}])_+(?=\S)|(?<=\S)_+(?![\p{L}\p{N}])/gu, '')
    .replace(/\*+(?=\S)|(?<=\S)\*+/g, '')
    .replace(/\s+/g, ' ')
    .trim();
  return plain.length > said ? `${plain.slice(0, said)}…` : plain;
}

/** Tells those who listen how the newest answers are getting on. Only what changes while the page watches. */
export function useStatus(conversation: Conversation | undefined, live: boolean): void {
  const announce = useAnnounce();
  const seen = useRef<Seen>(undefined);

  useEffect(() => {
    if (!conversation || !live) {
      seen.current = undefined;
      return;
    }
    const before = seen.current?.conversation === conversation.conversation_id ? seen.current : undefined;
    const now: Seen = { conversation: conversation.conversation_id, runs: new Map(), calls: new Map() };
    for (const run of conversation.runs) {
      now.runs.set(run.run_id, run.status);
      for (const call of run.calls ?? []) {
        now.calls.set(call.call_id, call.status);
        if (!before || before.calls.get(call.call_id) === call.status) continue;
        const words = call.status === 'asking' ? t.status.asks(plannedSummary(call)) : announcement(call);
        if (words !== undefined) announce(words);
      }
      const was = before?.runs.get(run.run_id);
      if (!before || was === run.status) continue;
      if (run.status === 'in_progress') announce(t.status.replying);
      else if (run.status === 'completed') announce(t.status.finished(spoken(textOf(run))));
      else if (run.status === 'cancelled') announce(t.status.stopped);
      else if (run.status === 'failed') announce(t.status.failed(failureOf(run)));
    }
    seen.current = now;
  }, [conversation, live, announce]);
}
