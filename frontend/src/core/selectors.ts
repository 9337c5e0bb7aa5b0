import type { AppState, OutboxItem } from './state';

/**
 * Whether a conversation has commits that its person has not seen. The commit
 * that records having read is itself one more than what was read.
 */
export function isUnread(c: { n: number; read_n: number }): boolean {
  return c.n > (c.read_n === 0 ? 0 : c.read_n + 1);
}

/** The unsent messages of what is on screen, in order. */
export function outboxHere(state: AppState): readonly OutboxItem[] {
  const id = state.open?.id;
  return state.outbox.filter((i) =>
    id === undefined ? i.conversationId === undefined && i.chat === state.newChat : i.conversationId === id,
  );
}

/** Whether leaving the page now would hold up messages that were sent. */
export function hasUnsent(state: AppState): boolean {
  return state.outbox.some((i) => i.runId === undefined);
}
