import { createServer, type Server as Http, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

/** An answer that is being written, piece by piece, by a test. */
export class Answer {
  readonly res: ServerResponse;

  constructor(res: ServerResponse) {
    this.res = res;
    res.writeHead(200, { 'Content-Type': 'text/event-stream' });
  }

  say(text: string): this {
    return this.put({ content: text });
  }

  call(id: string, name: string, args: object): this {
    const call = { index: 0, id, type: 'function', function: { name, arguments: JSON.stringify(args) } };
    return this.put({ tool_calls: [call] });
  }

  end(reason: 'stop' | 'tool_calls' = 'stop'): void {
    this.put({}, reason);
    this.res.end('data: [DONE]\n\n');
  }

  private put(delta: object, finish_reason: string | null = null): this {
    const choices = [{ index: 0, delta, finish_reason }];
    const chunk = { id: 'x', object: 'chat.completion.chunk', created: 1, model: 'scripted', choices };
    this.res.write(`data: ${JSON.stringify(chunk)}\n\n`);
    return this;
  }
}

/** A model by hand: it says what a test tells it to, when it tells it to, so that nothing is a race. Titles it gives by itself. */
export class HandModel {
  /** Answers everything with these words, until it is undefined. */
  always: string | undefined;
  private readonly http: Http;
  private readonly asked: Answer[] = [];
  private readonly open = new Set<Answer>();
  private readonly waiting: ((a: Answer) => void)[] = [];

  private constructor(http: Http) {
    this.http = http;
  }

  static async start(): Promise<HandModel> {
    const http = createServer();
    const model = new HandModel(http);
    http.on('request', (req, res) => {
      let body = '';
      req.on('data', (b: Buffer) => (body += b.toString()));
      req.on('end', () => model.answer(body, res));
    });
    await new Promise<void>((resolve) => http.listen(0, '127.0.0.1', resolve));
    return model;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.http.address() as AddressInfo).port}/v1`;
  }

  /** The next answer that it is asked for. */
  next(): Promise<Answer> {
    const here = this.asked.shift();
    return here ? Promise.resolve(here) : new Promise((resolve) => this.waiting.push(resolve));
  }

  /** Ends what a test has left open, so that the next one begins with nothing. */
  reset(): void {
    for (const answer of this.open) if (!answer.res.writableEnded) answer.end();
    this.open.clear();
    this.asked.length = 0;
    this.waiting.length = 0;
    this.always = undefined;
  }

  async stop(): Promise<void> {
    this.http.closeAllConnections();
    await new Promise((resolve) => this.http.close(resolve));
  }

  private answer(body: string, res: ServerResponse) {
    const { stream } = JSON.parse(body) as { stream?: boolean };
    const words = body.includes('Write a title') ? 'A title' : this.always;
    if (stream !== true) {
      const choices = [{ index: 0, message: { role: 'assistant', content: words ?? '' }, finish_reason: 'stop' }];
      res.writeHead(200, { 'Content-Type': 'application/json' });
      res.end(JSON.stringify({ id: 'x', object: 'chat.completion', created: 1, model: 'scripted', choices }));
      return;
    }
    const answer = new Answer(res);
    if (words !== undefined) {
      answer.say(words).end();
      return;
    }
    this.open.add(answer);
    const waiter = this.waiting.shift();
    if (waiter) waiter(answer);
    else this.asked.push(answer);
  }
}
