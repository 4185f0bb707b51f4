/** Worker thread of `CheckpointWriter`: does what it is asked in the folder of the checkpoints, one after the other. */
import { parentPort, workerData } from 'node:worker_threads';
import { checkpointFolder, writeCheckpoint, type CheckpointInfo } from './checkpoint.js';
import { markBest, type BestMark, type CheckpointEntry } from './checkpointIndex.js';
import { sent, type SentError } from './sentError.js';
import { firstNotFinite, takeTensors, type StateCopy } from './stateCopy.js';

export interface CheckpointWriterSetup {
  readonly runFolder: string;
  /** Checkpoints that are kept. */
  readonly keep: number;
}

export type CheckpointRequest =
  /** Write a checkpoint of this copy, unless it holds what is not finite. */
  | { readonly kind: 'write'; readonly info: CheckpointInfo; readonly copy: StateCopy }
  /** Keep the checkpoint of that many steps as the best; null: there is none. */
  | { readonly kind: 'best'; readonly mark: BestMark | null };

export type CheckpointReply =
  | { readonly kind: 'written'; readonly entry: CheckpointEntry }
  /** Nothing was written: this tensor is not finite. */
  | { readonly kind: 'broken'; readonly tensor: string }
  | { readonly kind: 'marked' }
  | { readonly kind: 'failed'; readonly error: SentError };

const { runFolder, keep } = workerData as CheckpointWriterSetup;
const port = parentPort!;

async function perform(request: CheckpointRequest): Promise<CheckpointReply> {
  if (request.kind === 'best') {
    await markBest(checkpointFolder(runFolder), request.mark, keep);
    return { kind: 'marked' };
  }
  const { info, copy } = request;
  const tensor = firstNotFinite(copy);
  if (tensor !== null) return { kind: 'broken', tensor };
  const entry = await writeCheckpoint(runFolder, { ...info, tensors: takeTensors(copy) }, keep);
  return { kind: 'written', entry };
}

let last: Promise<void> = Promise.resolve();
port.on('message', (request: CheckpointRequest) => {
  last = last.then(async () => {
    const failed = (error: Error): CheckpointReply => ({ kind: 'failed', error: sent(error) });
    port.postMessage(await perform(request).catch(failed));
  });
});
