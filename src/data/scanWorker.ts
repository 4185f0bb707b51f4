/** Worker thread of `scanFiles`: inspects files, some at a time, in the order of the requests. */
import { parentPort, workerData } from 'node:worker_threads';
import { inspectAll, type Inspection, type ScanKind } from './scanFiles.js';

/** What a worker is started with. */
export interface ScanSetup {
  readonly root: string;
  readonly as: ScanKind;
}

export type ScanReply = readonly Inspection[] | { readonly error: unknown };

const { root, as } = workerData as ScanSetup;
const port = parentPort!;
port.on('message', (paths: readonly string[]) => {
  inspectAll(root, paths, as).then(
    (inspections) => port.postMessage(inspections satisfies ScanReply),
    (error: unknown) => port.postMessage({ error } satisfies ScanReply),
  );
});
