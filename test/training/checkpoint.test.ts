import { expect } from 'chai';
import { execFileSync, spawnSync } from 'node:child_process';
import {
  copyFileSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { configSchema } from '../../src/config/schema.js';
import { SlimclrError, UsageError } from '../../src/errors.js';
import { sha256 } from '../../src/onnx/hash.js';
import { readSafetensors, writeSafetensors } from '../../src/onnx/safetensors.js';
import {
  latestCheckpoint,
  listCheckpoints,
  readCheckpoint,
  writeCheckpoint,
  type Checkpoint,
} from '../../src/training/checkpoint.js';
import { removeTornCheckpoints } from '../../src/training/checkpointIndex.js';
import { rejection } from '../support/rejection.js';
import { removeFolder } from '../support/removeFolder.js';

const config = configSchema.parse({});

function checkpoint(step: number, elements = 10): Checkpoint {
  const data = Float32Array.from({ length: elements }, (_, i) => i + step);
  const tensors = new Map([['w', { dtype: 'float32', shape: [elements], data } as const]]);
  return { config, epoch: step, step, fingerprint: 'f', tensors };
}

describe('checkpoint', () => {
  let run: string;
  beforeEach(() => (run = mkdtempSync(join(tmpdir(), 'slimclr-checkpoint-'))));
  afterEach(() => removeFolder(run));

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
    expect(read).to.deep.include(checkpoint(4));
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

  it('a copy elsewhere is verified by the checksum in its own metadata: one flipped bit of a weight or a step', async () => {
    const { path } = await writeCheckpoint(run, checkpoint(1), 2);
    const bytes = readFileSync(path);
    const copy = join(run, 'copy.safetensors');
    for (const at of [bytes.length - 1, bytes.indexOf('"step":"1"') + '"step":"'.length]) {
      const changed = Buffer.from(bytes);
      changed[at]! ^= 1;
      writeFileSync(copy, changed);
      expect((await rejection(readCheckpoint(copy))).message).to.match(/damaged \(its SHA-256/);
    }
    writeFileSync(copy, bytes);
    expect(await readCheckpoint(copy)).to.deep.include(checkpoint(1));
  });

  it('one of an earlier version, without a checksum: verified by the index', async () => {
    const { path } = await writeCheckpoint(run, checkpoint(1), 2);
    const { metadata, tensors } = await readSafetensors(path);
    const { checksum, ...others } = metadata;
    expect(checksum).to.match(/^[0-9a-f]{64}$/);
    await writeSafetensors(path, tensors, others);
    const index = join(run, 'checkpoints', 'index.json');
    const recorded = readFileSync(index, 'utf8').replace(
      /"sha256": "\w+"/,
      `"sha256": "${sha256(readFileSync(path))}"`,
    );
    writeFileSync(index, recorded);
    expect(await readCheckpoint(path)).to.deep.include(checkpoint(1));
    const bytes = readFileSync(path);
    bytes[bytes.length - 1]! ^= 1;
    writeFileSync(path, bytes);
    expect((await rejection(readCheckpoint(path))).message).to.match(/damaged \(its SHA-256/);
  });

  it('an index that names a file elsewhere: that file stays, the index is made anew from the folder', async () => {
    for (const step of [1, 2]) await writeCheckpoint(run, checkpoint(step), 3);
    const victim = join(run, 'victim');
    writeFileSync(victim, 'mine');
    const index = join(run, 'checkpoints', 'index.json');
    const text = readFileSync(index, 'utf8');
    for (const file of ['../victim', victim, '../checkpoints/../victim', '.', 'index.json']) {
      writeFileSync(index, text.replace('step-00000001.safetensors', file));
      expect(
        (await listCheckpoints(run)).map(({ step }) => step),
        file,
      ).to.deep.equal([1, 2]);
    }
    await writeCheckpoint(run, checkpoint(3), 1);
    expect(readFileSync(victim, 'utf8')).to.equal('mine');
    expect((await listCheckpoints(run)).map(({ step }) => step)).to.deep.equal([3]);
  });

  it('a torn index, another type or none at all: the checkpoints are found and counted', async () => {
    const entries = [];
    for (const step of [1, 2]) entries.push(await writeCheckpoint(run, checkpoint(step), 2));
    const index = join(run, 'checkpoints', 'index.json');
    for (const text of [
      '',
      '{"format":',
      'null',
      '{"format":"slimclr-checkpoints","version":1,"checkpoints":[null]}',
    ]) {
      writeFileSync(index, text);
      expect(await listCheckpoints(run), text).to.deep.equal(entries);
      expect((await readCheckpoint(entries[0]!.path)).step).to.equal(1);
    }
    rmSync(index);
    expect(await listCheckpoints(run)).to.deep.equal(entries);
    await writeCheckpoint(run, checkpoint(3), 2);
    expect((await listCheckpoints(run)).map(({ step }) => step)).to.deep.equal([2, 3]);
    expect(existsSync(entries[0]!.path)).to.equal(false);
  });

  it('a checkpoint that its process could not put into the index: the newest; after a step back, still counted', async () => {
    for (const step of [1, 3]) await writeCheckpoint(run, checkpoint(step), 3);
    const index = join(run, 'checkpoints', 'index.json');
    const before = readFileSync(index);
    await writeCheckpoint(run, checkpoint(4), 3);
    writeFileSync(index, before);
    expect((await latestCheckpoint(run)).step).to.equal(4);
    await writeCheckpoint(run, checkpoint(2), 3);
    expect((await listCheckpoints(run)).map(({ step }) => step)).to.deep.equal([3, 4, 2]);
  });

  it("what ended processes left is removed, what is another machine's, a running one's or a stranger's stays", async () => {
    const { path } = await writeCheckpoint(run, checkpoint(1), 2);
    const { pid } = spawnSync(process.execPath, ['--version']);
    const left = [`${path}.part`, `${path}.partial-${pid}`, `${path}.partial-${pid}@${hostname()}`];
    const others = [
      `${path}.partial-${process.ppid}`,
      `${path}.partial-${pid}@elsewhere`,
      join(run, 'checkpoints', 'a.part'),
    ];
    for (const file of [...left, ...others]) copyFileSync(path, file);
    await removeTornCheckpoints(join(run, 'checkpoints'));
    for (const file of left) expect(existsSync(file), file).to.equal(false);
    for (const file of [...others, path]) expect(existsSync(file), file).to.equal(true);
  });
});
