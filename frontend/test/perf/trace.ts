import type { Browser, CDPSession, Page } from 'playwright-core';

/** What some work cost the main thread of the page, in milliseconds of processor time. */
export interface Cost {
  cpu: number;
  /** The longest task. */
  longest: number;
  tasks: number;
  /** How many tasks held up more than a frame of 80 per second. */
  slow: number;
}

/** A task that takes longer is felt as a stutter. */
const frame = 12.5;

interface TraceEvent {
  name: string;
  ph: string;
  pid: number;
  tid: number;
  dur?: number;
  tdur?: number;
  args?: { name?: string };
}

/**
 * Traces the work and adds up the tasks of the page's main thread. Processor
 * time, not the clock: a busy machine takes longer, but does not compute more.
 */
export async function cost(browser: Browser, page: Page, work: () => Promise<void>): Promise<Cost> {
  await browser.startTracing(page, { categories: ['toplevel', '__metadata'] });
  let raw: Buffer;
  try {
    await work();
  } finally {
    raw = await browser.stopTracing();
  }
  const { traceEvents } = JSON.parse(raw.toString()) as { traceEvents: TraceEvent[] };
  const key = (e: TraceEvent) => `${e.pid}/${e.tid}`;
  const main = new Set(
    traceEvents.filter((e) => e.name === 'thread_name' && e.args?.name === 'CrRendererMain').map((e) => key(e)),
  );
  const byThread = new Map<string, number[]>();
  for (const e of traceEvents) {
    if (e.name !== 'ThreadControllerImpl::RunTask' || e.tdur === undefined || !main.has(key(e))) continue;
    const list = byThread.get(key(e)) ?? [];
    list.push(e.tdur / 1000);
    byThread.set(key(e), list);
  }
  // Chromium keeps other renderers at hand; the page's is the one that worked.
  const sum = (list: readonly number[]) => list.reduce((a, b) => a + b, 0);
  const [tasks = []] = [...byThread.values()].sort((a, b) => sum(b) - sum(a));
  if (tasks.length === 0) throw new Error('the trace has no tasks with processor time');
  return {
    cpu: sum(tasks),
    longest: Math.max(...tasks),
    tasks: tasks.length,
    slow: tasks.filter((t) => t > frame).length,
  };
}

/** Bytes of JavaScript that are still in use after a collection. */
export async function heap(page: Page): Promise<number> {
  const cdp: CDPSession = await page.context().newCDPSession(page);
  try {
    await cdp.send('HeapProfiler.collectGarbage');
    await cdp.send('Performance.enable');
    const { metrics } = await cdp.send('Performance.getMetrics');
    const used = metrics.find((m) => m.name === 'JSHeapUsedSize')?.value;
    if (used === undefined) throw new Error('Chromium says nothing of its heap');
    return used;
  } finally {
    await cdp.detach();
  }
}
