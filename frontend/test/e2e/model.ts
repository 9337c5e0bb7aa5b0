import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server as HttpServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as later } from 'node:timers/promises';

/** What the model does after a message. */
export interface Script {
  /** The answer in the pieces that stream. */
  pieces: readonly string[];
  /** How many of them a second; at once without it. */
  rate?: number;
  /** A tool to call before the answer. */
  call?: { name: string; arguments: object };
  /** What the conversation is to be called, if this is its first message. */
  title?: string;
}

interface Request {
  stream?: boolean;
  messages: { role: string; content: string | { text?: string }[] | null }[];
}

/** A model that says what a test wants, behind the API that Parley speaks to any model. */
export class ScriptedModel {
  private readonly http: HttpServer;

  private constructor(http: HttpServer) {
    this.http = http;
  }

  /** `script` is given the newest message of the person. */
  static async start(script: (said: string) => Script): Promise<ScriptedModel> {
    const http = createServer((req, res) => {
      answer(req, res, script).catch((err: unknown) => res.destroy(err instanceof Error ? err : undefined));
    });
    http.listen(0, '127.0.0.1');
    await once(http, 'listening');
    return new ScriptedModel(http);
  }

  get url(): string {
    return `http://127.0.0.1:${(this.http.address() as AddressInfo).port}/v1`;
  }

  async stop(): Promise<void> {
    this.http.close();
    this.http.closeAllConnections();
    await once(this.http, 'close');
  }
}

async function answer(req: IncomingMessage, res: ServerResponse, script: (said: string) => Script) {
  let body = '';
  for await (const part of req) body += String(part);
  if (req.method !== 'POST') {
    res.end(JSON.stringify({ object: 'list', data: [] }));
    return;
  }
  const { messages, stream } = JSON.parse(body) as Request;
  const said = textOf(messages.findLast((m) => m.role === 'user'));
  const naming = messages.some((m) => m.role === 'system' && textOf(m).includes('Write a title'));
  const { pieces, rate, call, title = 'A title' } = script(said);
  const head = { id: 'chatcmpl-script', object: 'chat.completion.chunk', created: 0, model: 'script' };
  if (naming || stream !== true) {
    const message = { role: 'assistant', content: naming ? title : pieces.join('') };
    res.setHeader('Content-Type', 'application/json');
    res.end(
      JSON.stringify({ ...head, object: 'chat.completion', choices: [{ index: 0, message, finish_reason: 'stop' }] }),
    );
    return;
  }
  res.setHeader('Content-Type', 'text/event-stream');
  const send = (delta: object, finish: string | null) =>
    res.write(`data: ${JSON.stringify({ ...head, choices: [{ index: 0, delta, finish_reason: finish }] })}\n\n`);
  if (call && messages.at(-1)?.role === 'user') {
    const fn = { name: call.name, arguments: JSON.stringify(call.arguments) };
    send({ tool_calls: [{ index: 0, id: `call_${messages.length}`, type: 'function', function: fn }] }, null);
    send({}, 'tool_calls');
    res.end('data: [DONE]\n\n');
    return;
  }
  const begun = performance.now();
  for (const [i, content] of pieces.entries()) {
    // On a schedule that starts with the first, so that a late piece does not delay all that follow.
    const wait = rate === undefined ? 0 : begun + (i * 1000) / rate - performance.now();
    if (wait > 0) await later(wait);
    if (res.destroyed) return;
    send({ content }, null);
  }
  send({}, 'stop');
  res.end('data: [DONE]\n\n');
}

function textOf(m: Request['messages'][number] | undefined): string {
  if (typeof m?.content === 'string') return m.content;
  return m?.content?.map((part) => part.text ?? '').join('') ?? '';
}
