import type { Delta, Run, Snapshot } from '../protocol/types';
import { isOver } from './path';

/** The number of bytes of text in UTF-8. A lone surrogate counts as the mark that replaces it. */
export function utf8Length(text: string): number {
  let bytes = text.length;
  for (let i = 0; i < text.length; i++) {
    const c = text.charCodeAt(i);
    if (c < 0x80) continue;
    if (c < 0x800) {
      bytes += 1;
    } else if (c >= 0xd800 && c < 0xdc00 && isLow(text.charCodeAt(i + 1))) {
      bytes += 2; // four bytes for two units
      i++;
    } else {
      bytes += 2;
    }
  }
  return bytes;
}

function isLow(c: number): boolean {
  return c >= 0xdc00 && c < 0xe000;
}

/** How a delta stands to the text: old, part of it now, or beyond a hole. */
export type StreamFit = 'stale' | 'appended' | 'hole';

/** Bounds what is kept behind a hole. Beyond it, the next snapshot shows another hole. */
const keptLimit = 512;

/**
 * The text of an answer that is being written, put together from deltas and
 * snapshots. Give it only what belongs to a run that is not over.
 */
export class Stream {
  runId = '';
  step = 0;
  attempt = 0;
  text = '';
  private bytes = 0;
  /** Deltas beyond a hole, which the snapshot may not reach; undefined without a hole. */
  private kept: Delta[] | undefined;

  get waiting(): boolean {
    return this.kept !== undefined;
  }

  /** Adds a delta. After the first "hole" the caller asks for a snapshot, once. */
  add(d: Delta): StreamFit {
    if (d.run_id !== this.runId || this.before(d)) this.start(d.run_id, d.step, d.attempt);
    else if (d.step < this.step || d.attempt < this.attempt) return 'stale';
    if (this.kept) {
      if (this.kept.length < keptLimit) this.kept.push(d);
      return 'stale';
    }
    return this.append(d);
  }

  /**
   * Replaces the text by a snapshot, unless the text is of a later attempt or
   * longer already, and adds what was kept behind the hole. It says "hole" if
   * the snapshot did not reach that far.
   */
  set(s: Snapshot): StreamFit {
    const bytes = utf8Length(s.text);
    const kept = this.kept ?? [];
    if (s.run_id === this.runId) {
      if (s.step < this.step || (s.step === this.step && s.attempt < this.attempt)) return 'stale';
      if (s.step === this.step && s.attempt === this.attempt && bytes < this.bytes) return 'stale';
    }
    this.start(s.run_id, s.step, s.attempt);
    this.text = s.text;
    this.bytes = bytes;
    for (const d of kept) {
      if (d.run_id === s.run_id && d.step === s.step && d.attempt === s.attempt && this.append(d) === 'hole') {
        return 'hole';
      }
    }
    return 'appended';
  }

  /** Forgets the text. */
  clear(): void {
    this.start('', 0, 0);
  }

  /** Whether the text is still to be shown below what run has for good. */
  shows(run: Run | undefined): boolean {
    if (run?.run_id !== this.runId || run.status === 'queued' || isOver(run.status)) return false;
    if (run.steps?.some((s) => s.step >= this.step)) return false;
    const step = run.step ?? 0;
    return this.step > step || (this.step === step && this.attempt >= (run.attempt ?? 0));
  }

  private before(d: Delta): boolean {
    return d.step > this.step || (d.step === this.step && d.attempt > this.attempt);
  }

  private start(runId: string, step: number, attempt: number): void {
    this.runId = runId;
    this.step = step;
    this.attempt = attempt;
    this.text = '';
    this.bytes = 0;
    this.kept = undefined;
  }

  private append(d: Delta): StreamFit {
    if (d.offset < this.bytes) return 'stale';
    if (d.offset > this.bytes) {
      this.kept = [d];
      return 'hole';
    }
    this.text += d.text;
    this.bytes += utf8Length(d.text);
    return 'appended';
  }
}
