import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect } from 'chai';
import { parseConfig } from '../../../src/config/load.js';
import { SlimclrError, UsageError } from '../../../src/errors.js';
import { buildPrograms } from '../../../src/methods/index.js';
import { median } from '../../../tools/bench/median.js';
import { stepCases, stepConfig, type StepCaseName } from '../../../tools/bench/stepCases.js';
import { StepProcess } from '../../../tools/bench/stepProcess.js';
import { fastestRivals, findPythons } from '../../../tools/bench/stepRival.js';
import { formatResults } from '../../../tools/bench/stepTable.js';

const worker = fileURLToPath(new URL('../../../tools/bench/stepWorker.js', import.meta.url));
const scripts = fileURLToPath(new URL('../../../../tools/bench/pytorch/', import.meta.url));

/** A process that runs this JavaScript. */
const node = (code: string) =>
  StepProcess.start({ command: process.execPath, args: ['-e', code], threads: 1 });
const ready = 'console.log(\'{"ready":"x"}\');';

async function rejection(promise: Promise<unknown>): Promise<unknown> {
  return promise.then(
    () => undefined,
    (error: unknown) => error,
  );
}

describe('tools/bench: step', () => {
  it('every case has four widths, two threads, and its image and batch size', () => {
    const sizes = Object.keys(stepCases).map((name) => {
      const { widths, runtime, encoder, data, batchSize } = stepConfig(name as StepCaseName, 2, undefined);
      expect(widths).to.deep.equal([1, 0.75, 0.5, 0.25]);
      expect(runtime.threads).to.equal(2);
      return [encoder.name, data.imageSize, batchSize];
    });
    expect(sizes).to.deep.equal([
      ['resnet50', 224, 16],
      ['resnet50', 64, 32],
      ['resnet18', 32, 128],
      ['resnet20', 32, 256],
    ]);
    expect(() => stepConfig('resnet20-32', 2, 'abacus')).to.throw(UsageError, 'abacus');
  });

  it('median of an odd and of an even number of values', () => {
    expect(median([9, 1, 2])).to.equal(2);
    expect(median([4, 1, 2, 9])).to.equal(3);
  });

  it('table: ratios of medians in turns and in blocks and of peaks, ours over theirs; what ran beside them', () => {
    const mebibyte = 2 ** 20;
    const [, , row] = formatResults([
      {
        name: 'resnet20-32',
        imageSize: 32,
        batchSize: 256,
        goal: 0.8,
        memoryGoal: 0.9,
        ours: { name: 'slimclr', seconds: [1, 9, 3], blockSeconds: [2, 2, 9], peakMemory: 300 * mebibyte },
        rival: { name: 'PyTorch 2', seconds: [4, 4, 1], blockSeconds: [1, 5, 5], peakMemory: 400 * mebibyte },
        trials: [],
        neighbours: [
          { name: 'node', nice: 10, count: 3, share: 0.432 },
          { name: 'tar', nice: 0, count: 1, share: 1.5 },
        ],
      },
    ]).split('\n');
    expect(row!.split('|').map((cell) => cell.trim())).to.deep.equal(
      [
        '',
        'resnet20-32',
        '256',
        '3.00 s',
        '4.00 s',
        '0.75 (0.80)',
        '0.40',
        '300 MiB',
        '400 MiB',
        '0.75 (0.90)',
      ].concat('PyTorch 2', '3 node (nice 10) 43 %, tar 150 %', ''),
    );
  });

  describe('the fastest rivals', () => {
    /** A Python whose steps take so long by its arguments, or which dies where that is undefined. */
    async function race(seconds: Readonly<Record<string, number>>, compile: boolean) {
      const folder = mkdtempSync(join(tmpdir(), 'slimclr-test-'));
      const path = join(folder, 'python');
      writeFileSync(
        path,
        `#!${process.execPath}
        const flags = process.argv.filter((a) => a === '--channels-last' || a === '--compile').join(' ');
        const seconds = ${JSON.stringify(seconds)}[flags];
        if (seconds === undefined) throw Error('broken');
        console.log('{"ready":"fake"}');
        process.stdin.on('data', () => console.log(JSON.stringify({ seconds, losses: [] })));`,
        { mode: 0o755 },
      );
      const [tried, failures]: [string[], string[]] = [[], []];
      try {
        const rivals = await fastestRivals({
          pythons: [{ path, compiles: true }],
          compile,
          folder,
          threads: 1,
          onTrial: ({ name }) => tried.push(name),
          onFailure: (setting) => failures.push(setting.replace(path, 'fake')),
        });
        for (const { process } of rivals) process.close();
        return { tried, failures, rivals: rivals.map(({ trial }) => trial.name) };
      } finally {
        rmSync(folder, { recursive: true });
      }
    }

    it('both memory formats are tried, and the faster one compiled', async () => {
      const seconds = { '': 2, '--channels-last': 1, '--compile': 0.1, '--channels-last --compile': 0.5 };
      expect(await race(seconds, true)).to.deep.equal({
        tried: ['fake, NCHW, eager', 'fake, channels_last, eager', 'fake, channels_last, compiled'],
        failures: [],
        rivals: ['fake, channels_last, compiled'],
      });
      expect((await race({ ...seconds, '': 0.5 }, true)).rivals).to.deep.equal(['fake, NCHW, compiled']);
      expect((await race(seconds, false)).rivals).to.deep.equal(['fake, channels_last, eager']);
    });

    it('those whose trials are close stay in the race', async () => {
      const seconds = { '': 1.3, '--channels-last': 1, '--channels-last --compile': 0.9 };
      const [planar, channelsLast, compiled] = [
        'NCHW, eager',
        'channels_last, eager',
        'channels_last, compiled',
      ];
      const close = [planar, channelsLast].map((name) => `fake, ${name}`);
      expect((await race(seconds, false)).rivals).to.deep.equal(close);
      expect((await race(seconds, true)).rivals).to.deep.equal([
        `fake, ${channelsLast}`,
        `fake, ${compiled}`,
      ]);
    });

    it('a setting that fails is named and out of the race', async () => {
      expect(await race({ '': 2 }, true)).to.deep.equal({
        tried: ['fake, NCHW, eager'],
        failures: ['fake, channels_last, eager', 'fake, NCHW, compiled'],
        rivals: ['fake, NCHW, eager'],
      });
      expect((await race({}, true)).rivals).to.deep.equal([]);
    });
  });

  it('a Python that is not there is skipped and named', async () => {
    const skipped: string[] = [];
    expect(await findPythons(['/no/python'], (path) => skipped.push(path))).to.deep.equal([]);
    expect(skipped).to.deep.equal(['/no/python']);
  });

  it('process: peak memory is what it held once, also after it is freed', async () => {
    const { process: child } = await node(
      `let a = Buffer.alloc(2 ** 28, 1); a = undefined; ${ready} process.stdin.resume()`,
    );
    try {
      expect(child.peakMemory()).to.be.within(2 ** 28, 2 ** 29);
    } finally {
      child.close();
    }
  });

  it('process: a side that dies is an error with its last words', async () => {
    const error = await rejection(node('console.error("one"); console.error("no torch"); process.exit(1)'));
    expect(error).to.be.instanceOf(SlimclrError);
    expect((error as Error).message).to.match(/: no torch$/);
    const { process: child } = await node(
      `${ready} process.stdin.once("data", () => { throw Error("stop") })`,
    );
    expect(await rejection(child.step())).to.be.instanceOf(SlimclrError);
  });

  it('process: a line that is not a step is an error that shows it', async () => {
    const { process: child } = await node(
      `${ready} process.stdin.on("data", () => console.log('{"seconds":0}'))`,
    );
    try {
      expect(((await rejection(child.step())) as Error).message).to.include('{"seconds":0}');
    } finally {
      child.close();
    }
  });

  it('our side: ResNet-20, batch 8 at 8x8: each line is one step that learns', async function () {
    this.timeout(60_000);
    const folder = mkdtempSync(join(tmpdir(), 'slimclr-test-'));
    const config = { data: { imageSize: 8 }, method: { kind: 'moco-v2', queueSize: 16 }, batchSize: 8 };
    try {
      await buildPrograms(parseConfig(config), folder);
      const args = [worker, folder];
      const { process: child } = await StepProcess.start({ command: process.execPath, args, threads: 1 });
      try {
        const [first, second] = [await child.step(), await child.step()];
        expect(first.losses).to.have.length(4);
        expect([...first.losses, ...second.losses].every(Number.isFinite)).to.equal(true);
        expect(second.losses).not.to.deep.equal(first.losses);
      } finally {
        child.close();
      }
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  it("PyTorch's side: losses, gradients and updates equal the reference's in float64", async function () {
    const [python] = await findPythons(['/usr/bin/python3'], () => {});
    if (!python) return this.skip();
    this.timeout(300_000);
    execFileSync(python.path, ['-m', 'unittest', 'test_slimclr_step.Step.test_basic_blocks_nchw'], {
      cwd: scripts,
      stdio: 'pipe',
    });
  });
});
