import { spawn, type ChildProcess } from 'node:child_process';
import type { Readable, Writable } from 'node:stream';
import { chromium } from './browser.js';

type Parameters = Readonly<Record<string, unknown>>;
type Result = Record<string, unknown>;
interface Message {
  readonly id?: number;
  readonly sessionId?: string;
  readonly method?: string;
  readonly params?: Parameters;
  readonly result?: Result;
  readonly error?: { readonly message: string };
}

/** A headless Chromium that is spoken to over its DevTools pipe. */
export class Browser {
  readonly #waiting = new Map<
    number,
    { resolve: (result: Result) => void; reject: (error: Error) => void }
  >();
  readonly #listeners: ((message: Message) => void)[] = [];
  #next = 1;
  #rest = '';

  private constructor(
    private readonly process: ChildProcess,
    private readonly input: Writable,
    output: Readable,
  ) {
    output.setEncoding('utf8').on('data', (text: string) => this.#read(text));
    process.once('exit', (code) => {
      for (const { reject } of this.#waiting.values()) reject(new Error(`Chromium ended with ${code}`));
    });
  }

  /** `profile`: a folder of its own. */
  static start(profile: string, ...flags: string[]): Browser {
    const common = ['--headless', '--no-sandbox', '--remote-debugging-pipe', `--user-data-dir=${profile}`];
    const process = spawn(chromium!, [...common, '--no-first-run', ...flags, 'about:blank'], {
      stdio: ['ignore', 'ignore', 'ignore', 'pipe', 'pipe'],
    });
    return new Browser(process, process.stdio[3] as Writable, process.stdio[4] as Readable);
  }

  send(method: string, params: Parameters = {}, sessionId?: string): Promise<Result> {
    const id = this.#next++;
    this.input.write(`${JSON.stringify({ id, method, params, ...(sessionId && { sessionId }) })}\0`);
    return new Promise((resolve, reject) => this.#waiting.set(id, { resolve, reject }));
  }

  listen(listener: (message: Message) => void): void {
    this.#listeners.push(listener);
  }

  async page(url: string): Promise<Page> {
    const { targetId } = await this.send('Target.createTarget', { url: 'about:blank' });
    const { sessionId } = await this.send('Target.attachToTarget', { targetId, flatten: true });
    const page = new Page(this, sessionId as string);
    for (const domain of ['Page', 'Runtime', 'Log', 'Network', 'DOM']) await page.send(`${domain}.enable`);
    await page.send('Page.navigate', { url });
    return page;
  }

  async close(): Promise<void> {
    const ended = new Promise((resolve) => this.process.once('exit', resolve));
    await this.send('Browser.close').catch(() => {});
    await ended;
  }

  #read(text: string): void {
    const parts = (this.#rest + text).split('\0');
    this.#rest = parts.pop()!;
    for (const part of parts) {
      const message = JSON.parse(part) as Message;
      const waiting = message.id === undefined ? undefined : this.#waiting.get(message.id);
      if (!waiting) {
        for (const listener of this.#listeners) listener(message);
        continue;
      }
      this.#waiting.delete(message.id!);
      if (message.error) waiting.reject(new Error(message.error.message));
      else waiting.resolve(message.result ?? {});
    }
  }
}

/** A page, with what it has written to the console and asked for. */
export class Page {
  readonly console: string[] = [];
  readonly requests: string[] = [];

  constructor(
    private readonly browser: Browser,
    private readonly sessionId: string,
  ) {
    browser.listen(({ sessionId: of, method, params = {} }) => {
      if (of !== sessionId) return;
      if (
        method === 'Runtime.consoleAPICalled' ||
        method === 'Log.entryAdded' ||
        method === 'Runtime.exceptionThrown'
      ) {
        this.console.push(JSON.stringify(params));
      }
      if (method === 'Network.requestWillBeSent')
        this.requests.push((params['request'] as { url: string }).url);
    });
  }

  send(method: string, params: Parameters = {}): Promise<Result> {
    return this.browser.send(method, params, this.sessionId);
  }

  /** The value of an expression, which may be a promise. Throws what it throws. */
  async evaluate<T>(expression: string): Promise<T> {
    const answer = await this.send('Runtime.evaluate', {
      expression,
      awaitPromise: true,
      returnByValue: true,
    });
    const { result, exceptionDetails } = answer as {
      result: { value: T };
      exceptionDetails?: { exception?: { description?: string }; text: string };
    };
    if (exceptionDetails) throw new Error(exceptionDetails.exception?.description ?? exceptionDetails.text);
    return result.value;
  }

  /** Waits until an expression is true. */
  async until(expression: string, seconds = 60): Promise<void> {
    const end = performance.now() + 1000 * seconds;
    while (!(await this.evaluate<boolean>(`Boolean(${expression})`))) {
      if (performance.now() > end) {
        const text = await this.evaluate<string>('document.body.innerText');
        throw new Error(`not within ${seconds} s: ${expression}\n${text}\n${this.console.join('\n')}`);
      }
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }

  /** Presses keys, by their names such as `Tab`. */
  async press(...keys: string[]): Promise<void> {
    for (const key of keys) {
      const code = keyCodes[key];
      const text = key === 'Enter' ? { text: '\r' } : key === 'Space' ? { text: ' ' } : {};
      const parameters = {
        key: key === 'Space' ? ' ' : key,
        code: key,
        windowsVirtualKeyCode: code,
        ...text,
      };
      await this.send('Input.dispatchKeyEvent', { type: 'keyDown', ...parameters });
      await this.send('Input.dispatchKeyEvent', { type: 'keyUp', ...parameters });
    }
  }
}

const keyCodes: Readonly<Record<string, number>> = {
  Tab: 9,
  Enter: 13,
  Space: 32,
  End: 35,
  Home: 36,
  ArrowLeft: 37,
  ArrowRight: 39,
};
