import * as is from '../protocol/check';

const piece = is.object({ text: is.string, hit: is.optional(is.boolean) });

const hit = is.object({
  run_id: is.string,
  message_id: is.string,
  by: is.string,
  time: is.string,
  excerpt: is.list(piece),
});

const found = is.object({
  conversation_id: is.string,
  title: is.list(piece),
  archived: is.optional(is.boolean),
  updated_at: is.string,
  hits: is.list(hit),
  total: is.count,
});

const page = is.object({ data: is.list(found), has_more: is.boolean, after: is.optional(is.string) });

/** A part of a text that was searched: a word that was found, or what stands between. */
export type Piece = ReturnType<typeof piece>;
export type Hit = ReturnType<typeof hit>;
/** A conversation with what was found in it. */
export type Found = ReturnType<typeof found>;
export type FoundPage = ReturnType<typeof page>;

export const decodeFound = (v: unknown): FoundPage => page(v, 'search');
