import { Worker } from 'node:worker_threads';
import { SlimclrError } from '../errors.js';
import { listCheckpoints, type CheckpointInfo } from './checkpoint.js';
import type { BestMark, CheckpointEntry } from './checkpointIndex.js';
import type { CheckpointReply, CheckpointRequest, CheckpointWriterSetup } from './checkpointWorker.js';
import { revived } from './sentError.js';
import type { TrainingState } from './state.js';
import type { StateCopy } from './stateCopy.js';
import { DivergenceError } from './steps/step.js';

/**
 * Writes checkpoints beside the training, in a thread of its own: the training waits for a copy of its state, and for
 * the checkpoint before where that is still being written. The memory of the copy is kept for the next one. What goes
 * wrong is thrown by whatever is called next; nothing is written any more then.
 */
export class CheckpointWriter {
  #worker: Worker | undefined;
  #copy: StateCopy | undefined;
  /** The request that the thread has not answered. */
  #answer: {
    readonly resolve: (reply: CheckpointReply) => void;
    readonly reject: (e: Error) => void;
  } | null = null;
  /** All that was asked so far; never rejects. */
  #last: Promise<void> = Promise.resolve();
  #pending = 0;
  #failure: Error | undefined;

  constructor(private readonly setup: CheckpointWriterSetup) {}

  /** Whether something is still being written. */
  get isBusy(): boolean {
    return this.#pending > 0;
  }

  /**
   * Copies the state, which may change when it has; `onWritten` is told when the checkpoint is durable. Throws a
   * DivergenceError when an earlier copy held what is not finite, and a SlimclrError when it could not be written.
   */
  async write(
    state: TrainingState,
    info: CheckpointInfo,
    onWritten: (entry: CheckpointEntry) => void,
  ): Promise<void> {
    await this.settled();
    const copy = await state.copy(this.#copy);
    this.#copy = copy;
    this.#enqueue(async () => {
      const reply = await this.#request({ kind: 'write', info, copy });
      if (reply.kind === 'written') onWritten(reply.entry);
      else if (reply.kind === 'broken') throw await this.#diverged(reply.tensor, info.step - 1);
    });
  }

  /** Keeps a checkpoint that was written as the best one, from when that is done; null: none is the best. */
  markBest(mark: BestMark | null): void {
    this.#enqueue(async () => void (await this.#request({ kind: 'best', mark })));
  }

  /** Throws what has gone wrong so far. */
  check(): void {
    if (this.#failure) throw this.#failure;
  }

  /** Waits for all that was asked; throws what has gone wrong. */
  async settled(): Promise<void> {
    await this.#last;
    this.check();
  }

  /** Waits for all that was asked. */
  async close(): Promise<void> {
    await this.#last;
    await this.#worker?.terminate();
  }

  #enqueue(work: () => Promise<void>): void {
    this.#pending += 1;
    this.#last = this.#last.then(async () => {
      try {
        if (!this.#failure) await work();
      } catch (error) {
        this.#failure = error as Error;
      } finally {
        this.#pending -= 1;
      }
    });
  }

  async #request(request: CheckpointRequest): Promise<CheckpointReply> {
    const worker = (this.#worker ??= this.#start());
    const reply = await new Promise<CheckpointReply>((resolve, reject) => {
      this.#answer = { resolve, reject };
      worker.postMessage(request);
    });
    if (reply.kind === 'failed') throw revived(reply.error);
    return reply;
  }

  #start(): Worker {
    const worker = new Worker(new URL('./checkpointWorker.js', import.meta.url), { workerData: this.setup });
    const ended = (reason: string) => {
      const message = `checkpoints could not be written: their thread has ended (${reason}); earlier checkpoints are kept`;
      // Also where nobody waits for it now: another request would never be answered.
      this.#failure ??= new SlimclrError(message);
      this.#answer?.reject(this.#failure);
    };
    worker.on('message', (reply: CheckpointReply) => this.#answer!.resolve(reply));
    worker.on('error', ({ message }: Error) => ended(message));
    worker.on('exit', (code) => ended(`code ${code}`));
    return worker;
  }

  async #diverged(tensor: string, step: number): Promise<DivergenceError> {
    const { runFolder } = this.setup;
    const kept = (await listCheckpoints(runFolder)).length > 0 ? 'the last checkpoint is kept: ' : '';
    return new DivergenceError(
      `${tensor} is not finite after step ${step}; ${kept}lower schedule.peak or lengthen schedule.warmup`,
    );
  }
}
