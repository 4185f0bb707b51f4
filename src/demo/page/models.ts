import { Worker, type PageWorker } from './dom.js';
import type { EmbedReply, EmbedRequest, OpenReply, OpenRequest, WorkerReply } from './messages.js';

/** Models that stay open. */
const kept = 3;

/** A model in a worker of its own. */
export class OpenModel {
  readonly #worker: PageWorker;
  readonly #waiting = new Map<
    number,
    { resolve: (reply: OpenReply | EmbedReply) => void; reject: (error: Error) => void }
  >();
  #next = 0;
  /** What is known since it is open. */
  readonly opened: Promise<OpenReply>;

  constructor(request: Omit<OpenRequest, 'kind'>) {
    this.#worker = new Worker(new URL('./worker.js', import.meta.url), { type: 'module' });
    this.#worker.onmessage = ({ data }) => {
      const { id, reply } = data as WorkerReply;
      const { resolve, reject } = this.#waiting.get(id)!;
      this.#waiting.delete(id);
      if ('error' in reply) reject(new Error(reply.error));
      else resolve(reply);
    };
    this.#worker.onerror = (event) => {
      event.preventDefault();
      this.#fail(event.message ?? 'the model cannot be run in this browser');
    };
    this.opened = this.#ask({ kind: 'open', ...request }) as Promise<OpenReply>;
  }

  embed(picture: Blob): Promise<EmbedReply> {
    return this.#ask({ kind: 'embed', picture }) as Promise<EmbedReply>;
  }

  close(): void {
    this.#worker.terminate();
    this.#fail('closed');
  }

  #ask(request: OpenRequest | EmbedRequest): Promise<OpenReply | EmbedReply> {
    const id = this.#next++;
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, { resolve, reject });
      this.#worker.postMessage({ ...request, id });
    });
  }

  #fail(message: string): void {
    for (const { reject } of this.#waiting.values()) reject(new Error(message));
    this.#waiting.clear();
  }
}

/** Models by their file and provider, the last ones used. */
export class OpenModels {
  readonly #open = new Map<string, OpenModel>();

  constructor(private readonly places: Pick<OpenRequest, 'manifest' | 'runtime'>) {}

  of(model: string, provider: OpenRequest['provider']): OpenModel {
    const key = `${provider} ${model}`;
    const found = this.#open.get(key) ?? new OpenModel({ ...this.places, model, provider });
    // The last one is the one used last.
    this.#open.delete(key);
    this.#open.set(key, found);
    for (const [old, other] of [...this.#open].slice(0, -kept)) {
      this.#open.delete(old);
      other.close();
    }
    // What failed may be tried again.
    found.opened.catch(() => {
      if (this.#open.get(key) !== found) return;
      this.#open.delete(key);
      found.close();
    });
    return found;
  }
}
