import { expect } from 'chai';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { configSchema } from '../../src/config/schema.js';
import { SlimclrError, UsageError } from '../../src/errors.js';
import { writeSafetensors } from '../../src/onnx/safetensors.js';
import {
  latestCheckpoint,
  listCheckpoints,
  readCheckpoint,
  writeCheckpoint,
  type Checkpoint,
} from '../../src/training/checkpoint.js';
import { rejection } from '../support/rejection.js';

const config = configSchema.parse({});

function checkpoint(step: number, elements = 10): Checkpoint {
  const data = Float32Array.from({ length: elements }, (_, i) => i + step);
  const tensors = new Map([['w', { dtype: 'float32', shape: [elements], data } as const]]);
  return { config, epoch: step, step, fingerprint: 'f', tensors };
}

describe('checkpoint', () => {
  let run: string;
  beforeEach(() => (run = mkdtempSync(join(tmpdir(), 'slimclr-checkpoint-'))));
  afterEach(() => rmSync(run, { recursive: true }));

  it('what is written is read back, and the newest `keep` stay', async () => {
    for (const step of [1, 2, 3, 4]) await writeCheckpoint(run, checkpoint(step), 2);
    expect((await listCheckpoints(run)).map(({ step }) => step)).to.deep.equal([3, 4]);
    expect(readdirSync(join(run, 'checkpoints')).sort()).to.deep.equal([
      'index.json',
      'step-00000003.safetensors',
      'step-00000004.safetensors',
    ]);
    const { path } = await latestCheckpoint(run);
    const read = await readCheckpoint(path);
    expect(read).to.deep.equal(checkpoint(4));
  });

  it('a run without checkpoints: usage error', async () => {
    const error = await rejection(latestCheckpoint(run));
    expect(error).to.be.instanceOf(UsageError);
    expect(error.message).to.include('no checkpoint');
  });

  it('one flipped bit, a truncated file and a foreign file: one clear line each', async () => {
    const { path } = await writeCheckpoint(run, checkpoint(1), 2);
    const bytes = readFileSync(path);
    const flipped = Buffer.from(bytes);
    flipped[flipped.length - 1]! ^= 1;
    writeFileSync(path, flipped);
    expect((await rejection(readCheckpoint(path))).message).to.match(/damaged \(its SHA-256/);

    truncateSync(path, bytes.length - 5);
    expect((await rejection(readCheckpoint(path))).message).to.match(/damaged/);

    const elsewhere = join(run, 'copy.safetensors');
    writeFileSync(elsewhere, bytes.subarray(0, bytes.length - 5));
    const torn = await rejection(readCheckpoint(elsewhere));
    expect(torn).to.be.instanceOf(SlimclrError);
    expect(torn.message).to.include(elsewhere);

    await writeSafetensors(elsewhere, new Map());
    const foreign = await rejection(readCheckpoint(elsewhere));
    expect(foreign.message).to.match(/format undefined .*accepted: slimclr-checkpoint version 1/);
    for (const error of [torn, foreign]) expect(error.message).not.to.include('\n');
  });

  it('disk full: an error that says so, no part left behind, the earlier checkpoint intact', async () => {
    const first = await writeCheckpoint(run, checkpoint(1), 3);
    const module = pathToFileURL(join(import.meta.dirname, '../../src/training/checkpoint.js')).href;
    const script = `
      import { writeCheckpoint } from ${JSON.stringify(module)};
      const data = new Float32Array(4e6);
      const tensors = new Map([['w', { dtype: 'float32', shape: [4e6], data }]]);
      const config = ${JSON.stringify(config)};
      await writeCheckpoint(${JSON.stringify(run)}, { config, epoch: 2, step: 2, fingerprint: 'f', tensors }, 3)
        .then(() => console.log('written'), (error) => console.log(error.name + ': ' + error.message));`;
    // A limit on file size makes the write fail in the middle, as a full disk does.
    const limited = `ulimit -f 2000; exec "$0" --input-type=module -e "$1"`;
    const output = execFileSync('bash', ['-c', limited, process.execPath, script], { encoding: 'utf8' });
    expect(output).to.match(
      /^SlimclrError: checkpoint .*step-00000002.* could not be written: .*earlier checkpoints are kept\n$/,
    );
    expect(readdirSync(join(run, 'checkpoints')).sort()).to.deep.equal([
      'index.json',
      'step-00000001.safetensors',
    ]);
    expect((await readCheckpoint(first.path)).step).to.equal(1);
  });
});
