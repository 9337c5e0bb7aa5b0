import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';

import { emptyConversation, fold } from '../../src/core/fold';
import type { CommitPage, Conversation } from '../../src/protocol/types';

/** Parley's binary, which must hold the page that is tested. */
function binary(): string {
  const bin = process.env.PARLEY_BIN;
  if (!bin) throw new Error('PARLEY_BIN must name the parley binary: go build -o parley ./cmd/parley');
  return bin;
}

/** Who answers: the demo model at so many words per second (0: at once), or a model at an address. */
type Options = { rate: number } | { model: string };

/** A Parley of its own, with everything it needs, on a free port. */
export class Server {
  private child: ChildProcess | undefined;
  private address = '127.0.0.1:0';
  private output = '';
  private readonly tokens = new Map<string, string>();

  private readonly dir: string;
  private readonly options: Options;

  private constructor(dir: string, options: Options) {
    this.dir = dir;
    this.options = options;
  }

  static async start(options: Options): Promise<Server> {
    const server = new Server(await mkdtemp(join(tmpdir(), 'parley-e2e-')), options);
    try {
      await server.run();
    } catch (err) {
      await server.stop();
      throw err;
    }
    return server;
  }

  get url(): string {
    return `http://${this.address}`;
  }

  /** Starts the process, on the address and the data of the last time. */
  async run(): Promise<void> {
    const { options } = this;
    const model =
      'model' in options
        ? ['--openai-base-url', options.model, '--model', 'script']
        : ['--demo-rate', String(options.rate)];
    const args = ['dev', '--addr', this.address, '--data-dir', this.dir, ...model];
    // Away from the sources, so that the binary serves the page it holds.
    const child = spawn(binary(), args, { cwd: this.dir, stdio: ['ignore', 'pipe', 'pipe'] });
    this.child = child;
    this.output = '';
    child.stderr.on('data', (b: Buffer) => (this.output += b.toString()));
    const lines = createInterface({ input: child.stdout });
    const ready = new Promise<string>((resolve, reject) => {
      lines.on('line', (line) => {
        this.output += `${line}\n`;
        const found = /^\s*Open\s+http:\/\/(\S+)/.exec(line)?.[1];
        if (found) resolve(found);
      });
      child.once('error', reject);
      child.once('exit', (code) => reject(new Error(`parley ended with ${code ?? 'a signal'}:\n${this.output}`)));
    });
    this.address = await ready;
  }

  /** Ends the process as a power cut would. */
  async kill(): Promise<void> {
    await this.end('SIGKILL');
  }

  /** Ends the process in good order and removes its data. */
  async stop(): Promise<void> {
    await this.end('SIGTERM');
    await rm(this.dir, { recursive: true, force: true });
  }

  /** What the log says, by the door that every other client uses. */
  async api<T>(user: string, path: string, body?: object): Promise<T> {
    const res = await fetch(`${this.url}/api/${user}/${path}`, {
      headers: { Authorization: `Bearer ${await this.token(user)}`, 'Content-Type': 'application/json' },
      ...(body && { method: 'POST', body: JSON.stringify(body) }),
    });
    if (!res.ok) throw new Error(`${path}: ${res.status} ${await res.text()}`);
    return (await res.json()) as T;
  }

  /** Says something by that door and waits for the answer; returns the conversation. */
  async chat(user: string, message: string, conversation?: string): Promise<string> {
    const body = { message, ...(conversation !== undefined && { conversation_id: conversation }) };
    return (await this.api<{ conversation_id: string }>(user, 'chat', body)).conversation_id;
  }

  /** What the log of a conversation adds up to. */
  async conversation(user: string, id: string): Promise<Conversation> {
    let state = emptyConversation(user, id);
    for (let more = true; more;) {
      const next = await this.api<CommitPage>(user, `conversations/${id}/events?after=${state.n}`);
      state = next.data.reduce(fold, state);
      more = next.has_more;
    }
    return state;
  }

  private async token(user: string): Promise<string> {
    const known = this.tokens.get(user);
    if (known !== undefined) return known;
    const issued = await fetch(`${this.url}/api/dev/token`, {
      method: 'POST',
      headers: { 'Content-Type': 'application/json' },
      body: JSON.stringify({ user_id: user }),
    });
    const { token } = (await issued.json()) as { token: string };
    this.tokens.set(user, token);
    return token;
  }

  private async end(signal: NodeJS.Signals): Promise<void> {
    this.tokens.clear(); // the next process may sign with another key
    const { child } = this;
    this.child = undefined;
    if (child?.exitCode !== null || child.signalCode !== null) return;
    const gone = once(child, 'exit');
    child.kill(signal);
    await gone;
  }
}
