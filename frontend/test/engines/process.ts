import { type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { createServer, type AddressInfo } from 'node:net';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';

/** Ends a program that a test started, and waits for it to be gone. */
export async function stop(child: ChildProcess): Promise<void> {
  if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return;
  const gone = once(child, 'exit');
  child.kill();
  await gone;
}

/** Rejects when a program cannot be started, or ends before it is wanted to. */
export function early(child: ChildProcess): Promise<never> {
  return new Promise((_, reject) => {
    child.once('error', reject);
    child.once('exit', (code, signal) =>
      reject(new Error(`${child.spawnfile} ended with ${code ?? signal ?? 'nothing'}`)),
    );
  });
}

/** What the pattern catches of the first line of a program's output that it fits. */
export function line(child: ChildProcess, from: Readable, pattern: RegExp): Promise<string> {
  const found = new Promise<string>((resolve) => {
    createInterface({ input: from }).on('line', (text) => {
      const caught = pattern.exec(text)?.[1];
      if (caught !== undefined) resolve(caught);
    });
  });
  return Promise.race([found, early(child)]);
}

/** A port for a program that cannot choose one itself. */
export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}
