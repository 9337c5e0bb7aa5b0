import type { Run } from '../protocol/types';
import type { Following } from './following';
import type { Kernel } from './kernel';

/** The most that the server gives at once. */
const page = 500;
/** Up to so many commits a conversation is read whole for a message that is on another branch. */
const wholeUpTo = 20_000;

/** Reads older pages until done says so or there are none. False if somebody went elsewhere meanwhile. */
async function older(k: Kernel, following: Following, done: () => boolean): Promise<boolean> {
  const id = k.state.open?.id;
  for (let had = -1; !done();) {
    const state = k.state.open?.state;
    // A page that did not come has been told of.
    if (state?.has_more !== true || state.runs.length === had) break;
    had = state.runs.length;
    await following.loadOlder(page);
    if (k.state.open?.id !== id) return false;
  }
  return true;
}

/**
 * Finds the run of a message or of an answer. What is older than what is here is
 * read page by page, so that nothing is missing between; what is not on the
 * current branch, with all branches.
 */
export async function find(k: Kernel, following: Following, id: string): Promise<Run | undefined> {
  const look = () => k.state.open?.state.runs.find((r) => r.run_id === id || r.message.message_id === id);
  if (!(await older(k, following, () => look() !== undefined))) return undefined;
  const place = k.state.open?.id;
  if (!look()) await following.loadWhole(wholeUpTo).catch(() => undefined);
  return k.state.open?.id === place ? look() : undefined;
}

/** Reads all of the current branch. */
export async function loadAll(k: Kernel, following: Following): Promise<void> {
  await older(k, following, () => false);
}
