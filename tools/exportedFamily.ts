/*
 * Makes `graphs/exports` anew: `node dist/tools/exportedFamily.js RUN` takes the encoder of a run's newest checkpoint,
 * exports it, and makes the models golden. README.md there has the run, .ci/run exports the same weights and checks them.
 */
import { copyFile, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { updateGoldenModels } from '../src/check/update.js';
import { exportRun } from '../src/export/exportRun.js';
import { latestCheckpoint, readCheckpoint, writeCheckpoint } from '../src/training/checkpoint.js';

const [run] = process.argv.slice(2);
if (run === undefined) throw new Error('usage: node dist/tools/exportedFamily.js RUN');
const golden = join('graphs', 'exports');
const scratch = await mkdtemp(join(tmpdir(), 'slimclr-exports-'));
try {
  const { tensors, ...checkpoint } = await readCheckpoint((await latestCheckpoint(run)).path);
  // What an export reads: neither head, momentum encoder nor optimizer.
  const encoder = new Map([...tensors].filter(([name]) => name.startsWith('encoder.')));
  const { path } = await writeCheckpoint(scratch, { ...checkpoint, tensors: encoder }, 1);
  // As .ci/run exports it: without images.
  await exportRun(scratch, { verify: false });
  // The images of the run, which the exported folder is not in.
  await updateGoldenModels(scratch, golden, { images: checkpoint.config.data.source });
  await copyFile(path, join(golden, 'checkpoint.safetensors'));
} finally {
  await rm(scratch, { recursive: true });
}
