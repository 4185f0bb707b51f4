/** Worker thread of `scanFiles`: inspects files, some at a time, in the order of the requests. */
import { parentPort, workerData } from 'node:worker_threads';
import { inspectAll, type Inspection } from './scanFiles.js';

/** What a worker is started with. */
export interface ScanSetup {
  readonly root: string;
  readonly budget: number;
}

export type ScanReply = readonly Inspection[] | { readonly error: unknown };

const { root, budget } = workerData as ScanSetup;
const port = parentPort!;
port.on('message', (paths: readonly string[]) => {
  inspectAll(root, paths, budget).then(
    (inspections) => port.postMessage(inspections satisfies ScanReply),
    (error: unknown) => port.postMessage({ error } satisfies ScanReply),
  );
});
