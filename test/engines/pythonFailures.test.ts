import { expect } from 'chai';
import { execFileSync, fork, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Engine } from '../../src/engines/engine.js';
import { openEngine } from '../../src/engines/openEngine.js';
import { SlimclrError } from '../../src/errors.js';
import { childProcesses, isRunning } from '../support/childProcesses.js';
import { stockPython, trainingPython } from '../support/pythons.js';
import { rejection } from '../support/rejection.js';
import { affine, model } from './models.js';
import { removeFolder } from '../support/removeFolder.js';

const open = (python: string, provider: 'cpu' | 'cuda' = 'cpu') =>
  openEngine({ engine: 'python', python, provider, threads: 1 });

/** The one line that something is refused with. */
async function refusal(work: Promise<unknown>): Promise<string> {
  const error = await rejection(work);
  expect(error).to.be.instanceOf(SlimclrError);
  expect(error.message).to.match(/^[^\n]+$/);
  return error.message;
}

describe('what is no Python with onnxruntime', function () {
  this.timeout(120_000);
  let folder: string;
  before(async () => (folder = await mkdtemp(join(tmpdir(), 'slimclr-python-'))));
  after(() => removeFolder(folder));

  it('a name that PATH does not have, a folder, a file that is not a program', async () => {
    expect(await refusal(open('no-such-python'))).to.equal(
      'runtime.python "no-such-python" is not found; accepted: the name or path of a Python interpreter (3.8 or later) that has onnxruntime',
    );
    const text = join(folder, 'text');
    await writeFile(text, 'print("no")\n');
    for (const path of [folder, text]) {
      expect(await refusal(open(path))).to.match(/^runtime\.python ".*" cannot be run \(.*\); accepted: /);
    }
  });

  it('a program that ends, that answers with what it is asked, that writes anything', async function () {
    if (process.platform === 'win32') return this.skip();
    const program = async (name: string, lines: string) => {
      const path = join(folder, name);
      await writeFile(path, `#!/bin/sh\n${lines}\n`, { mode: 0o755 });
      return path;
    };
    expect(await refusal(open(await program('ends', 'echo nothing to do >&2; exit 3')))).to.match(
      /^runtime\.python ".*ends" ended with code 3 \(nothing to do\) and runs no worker; accepted: /,
    );
    expect(await refusal(open(await program('echoes', 'exec cat')))).to.match(
      /^runtime\.python ".*echoes" does not answer as worker\.py does \(no version\); accepted: /,
    );
    expect(await refusal(open(await program('talks', 'exec yes')))).to.match(
      /^runtime\.python ".*talks" does not answer as worker\.py does \(.*\); accepted: /,
    );
  });

  it('without the wheel: the command that installs it', async function () {
    try {
      execFileSync('python3', ['-m', 'venv', '--without-pip', join(folder, 'venv')], { stdio: 'ignore' });
    } catch {
      return this.skip(); // No python3 that makes virtual environments.
    }
    const python = join(folder, 'venv', process.platform === 'win32' ? 'Scripts/python.exe' : 'bin/python');
    expect(await refusal(open(python))).to.match(
      /^runtime\.python ".*" has no onnxruntime \(No module named '\w+'\); accepted: .* after: \S+ -m pip install onnxruntime$/,
    );
  });
});

for (const [title, find] of [
  ['onnxruntime', stockPython],
  ['onnxruntime-training', trainingPython],
] as const) {
  const { python, missing } = find();
  describe(`failures of a Python with ${title}${missing}`, function () {
    this.timeout(120_000);
    let engine: Engine;

    before(function () {
      if (missing !== '') this.skip();
    });
    beforeEach(async () => (engine = await open(python)));
    afterEach(() => engine?.close());

    it('out of memory: one line, and the engine goes on', async () => {
      const huge = engine.allocate('float32', 2 ** 50);
      expect(await refusal(engine.read(huge, 0, 1))).to.match(
        /^no memory for float32\[1125899906842624\], 4503599627370496 bytes: out of memory .*; accepted: a smaller batchSize$/,
      );
      const expand = model({
        inputs: { x: ['N'] },
        outputs: { y: [] },
        nodes: [
          ['Expand', ['x', 'shape'], ['long']],
          ['ReduceMax', ['long'], ['y']],
        ],
        // 2 ** 50 rows.
        initializers: [{ name: 'shape', dataType: 7, dims: [2], int64Data: [2 ** 50, 1] }],
      });
      const graph = await engine.load(expand, { name: 'expand', optimization: 'disabled' });
      const place = () => ({ memory: engine.allocate('float32', 1), offset: 0, shape: [1] });
      const binding = engine.bind(graph, { x: place() }, { y: { ...place(), shape: [1, 1] } });
      expect(await refusal(engine.run(binding))).to.match(
        /^expand: out of memory .*; accepted: a smaller batchSize$/,
      );
      await engine.load(affine, { name: 'affine' });
    });

    it('models that are too new, and operators that it lacks', async () => {
      const parts = { inputs: { x: [1] }, outputs: { y: [1] }, nodes: [['Neg', ['x'], ['y']]] } as const;
      const load = (more: { irVersion?: number; opset?: number }) =>
        refusal(engine.load(model({ ...parts, ...more }), { name: 'new' }));
      expect(await load({ irVersion: 99 })).to.match(
        /^new: onnxruntime \S+ of runtime\.python ".*" does not read IR version 99; accepted: up to \d+, or a newer wheel$/,
      );
      expect(await load({ opset: 99 })).to.match(
        /^new: onnxruntime \S+ of runtime\.python ".*" reads opsets up to \d+ only; accepted: a newer wheel$/,
      );
      const grad = { nodes: [['ReluGrad', ['x', 'x'], ['y']]], domain: 'com.microsoft' } as const;
      const message = await engine
        .load(model({ ...parts, ...grad }), { name: 'grad' })
        .then(() => null)
        .catch((error: Error) => error.message);
      if (title === 'onnxruntime-training') expect(message).to.equal(null);
      else {
        expect(message).to.match(
          /^grad: onnxruntime \S+ of .* has no operator com\.microsoft:ReluGrad; accepted: onnxruntime-training 1\.19\.2: pip install "numpy<2" onnxruntime-training-cpu==1\.19\.2$/,
        );
      }
    });

    it('provider cuda: what is missing, and what brings it', async function () {
      const message = await open(python, 'cuda').then(
        (cuda) => cuda.close(),
        (error: Error) => error.message,
      );
      if (message === undefined) return this.skip();
      expect(message).to.match(
        /^runtime\.p\w+ "[^\n]*; accepted: [^\n]*(pip install "?[-\w]*(onnxruntime-gpu|cu11)|nvidia-smi)[^\n]*$/,
      );
    });

    describe('whose process ends', () => {
      before(function () {
        if (process.platform !== 'linux') this.skip();
      });

      it('killed in the middle of a run: the run, and all after it, say so; closing it works', async () => {
        const before = new Set(childProcesses(process.pid));
        const killed = await open(python);
        const [worker] = childProcesses(process.pid).filter((id) => !before.has(id));
        const memory = killed.allocate('float32', 2 ** 22);
        const writes = Array.from({ length: 20 }, () => killed.write(memory, new Float32Array(2 ** 22)));
        const settled = Promise.allSettled(writes);
        process.kill(worker!, 'SIGKILL');
        await settled;
        const line =
          /^the worker of runtime\.python ".*" was ended by SIGKILL \(by somebody(, or by the system for want of memory)?\)$/;
        expect(await refusal(killed.read(memory))).to.match(line);
        expect(await refusal(killed.load(affine, { name: 'affine' }))).to.match(line);
        await killed.close();
      });

      it('killed with its parent, while it is busy', async () => {
        const parent: ChildProcess = fork(join(import.meta.dirname, 'pythonParent.js'), [python]);
        await once(parent, 'message');
        const [worker] = childProcesses(parent.pid!);
        expect(isRunning(worker!)).to.equal(true);
        parent.kill('SIGKILL');
        await once(parent, 'exit');
        while (isRunning(worker!)) await sleep(20);
      });

      it('signals that a terminal sends to all do not end it', async () => {
        const before = new Set(childProcesses(process.pid));
        const other = await open(python);
        const [worker] = childProcesses(process.pid).filter((id) => !before.has(id));
        for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGUSR1'] as const)
          process.kill(worker!, signal);
        const memory = other.allocate('float32', 1);
        expect(Array.from(await other.read(memory))).to.deep.equal([0]);
        await other.close();
        expect(isRunning(worker!)).to.equal(false);
      });
    });
  });
}
