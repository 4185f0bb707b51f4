import { expect } from 'chai';
import { fork } from 'node:child_process';
import { cpSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import onnxProto from 'onnx-proto';
import { loadConfig } from '../../src/config/load.js';
import type { ConfigInput } from '../../src/config/schema.js';
import { SlimclrError, UsageError } from '../../src/errors.js';
import { exportRun } from '../../src/export/exportRun.js';
import { externalFiles } from '../../src/onnx/externalFiles.js';
import { sha256File } from '../../src/onnx/hash.js';
import { listCheckpoints } from '../../src/training/checkpoint.js';
import type { LoggedEvent, TrainingEvent } from '../../src/training/events.js';
import type { Arena } from '../../src/engines/arena.js';
import { prepareRun } from '../../src/training/prepareRun.js';
import { pretrain } from '../../src/training/pretrain.js';
import { resumedConfig } from '../../src/training/resumedConfig.js';
import { trainingLoop } from '../../src/training/trainingLoop.js';
import { writeImages } from '../evaluation/tinyRun.js';
import { childProcesses, trainingProcesses } from '../support/childProcesses.js';
import { rejection } from '../support/rejection.js';
import { expectSameWeights } from './sameWeights.js';
import { tinyConfig } from './tinyConfig.js';
import { removeFolder } from '../support/removeFolder.js';

const proto = onnxProto.onnx;

const events = (run: string, file = 'events.jsonl'): LoggedEvent[] =>
  readFileSync(join(run, file), 'utf8')
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as LoggedEvent);

/** A signal that aborts when an event of this kind, at this step, happens. */
function stopAt(type: TrainingEvent['type'], step: number) {
  const controller = new AbortController();
  return {
    signal: controller.signal,
    onEvent: (event: TrainingEvent) => {
      if (event.type === type && 'step' in event && event.step === step) controller.abort();
    },
  };
}

describe('pretrain, at the edges of a run', function () {
  this.timeout(120_000);
  let folder: string;
  let source: string;
  let measured: string;

  const monitor: ConfigInput = { monitor: { kind: 'knn', everyEpochs: 1, neighbours: 5 } };

  before(async () => {
    folder = mkdtempSync(join(tmpdir(), 'slimclr-edges-'));
    source = join(folder, 'images');
    measured = join(folder, 'measured');
    await writeImages(source, 24, 1);
    expect(await pretrain({ config: tinyConfig(source, monitor), runFolder: measured })).to.equal('done');
  });
  after(() => removeFolder(folder));

  const knn = (run: string) =>
    events(run).flatMap((event) =>
      event.type === 'knn' ? [{ step: event.step, accuracies: event.accuracies }] : [],
    );

  it('stopped in the last step of all: the monitor measures on resume what it owes, once', async () => {
    const runFolder = join(folder, 'stopped');
    const config = tinyConfig(source, monitor);
    // The event is told before the step's checkpoint is written.
    expect(await pretrain({ config, runFolder, ...stopAt('step', 17) })).to.equal('interrupted');
    expect(knn(runFolder)).to.deep.equal(knn(measured).slice(0, 2));
    for (let times = 0; times < 2; times++) {
      expect(await pretrain({ config, runFolder, resume: true })).to.equal('done');
      expect(knn(runFolder)).to.deep.equal(knn(measured));
    }
    await expectSameWeights(runFolder, measured);
  });

  it('killed between checkpoint and monitor: the monitor measures on resume what it owes, once', async () => {
    const runFolder = join(folder, 'killed');
    const config = tinyConfig(source, monitor);
    const child = fork(join(import.meta.dirname, 'pretrainChild.js'), [
      JSON.stringify(config),
      runFolder,
      'checkpoint',
    ]);
    await new Promise<void>((resolve) => {
      // The children first: none of them has the time to measure.
      child.on('message', (step: number) => {
        if (step !== 12) return;
        for (const id of childProcesses(child.pid!)) process.kill(id, 'SIGKILL');
        child.kill('SIGKILL');
      });
      child.once('exit', () => resolve());
    });
    expect(await pretrain({ config, runFolder, resume: true })).to.equal('done');
    expect(knn(runFolder)).to.deep.equal(knn(measured));
  });

  it('stopped before the first step: at once, without a checkpoint; the next start has a log and curves of its own', async () => {
    const runFolder = join(folder, 'early');
    const config = tinyConfig(source);
    expect(await pretrain({ config, runFolder, ...stopAt('start', 0) })).to.equal('interrupted');
    expect(await listCheckpoints(runFolder)).to.deep.equal([]);
    const first = readFileSync(join(runFolder, 'events.jsonl'));
    expect(await pretrain({ config: { ...config, epochs: 1 }, runFolder })).to.equal('done');
    expect(events(runFolder).filter(({ type }) => type === 'start')).to.have.length(1);
    expect(events(runFolder)[0]!.type).to.equal('start');
    expect(readFileSync(join(runFolder, 'events.before-1.jsonl'))).to.deep.equal(first);
    expect(readdirSync(join(runFolder, 'tensorboard'))).to.have.length(1);
  });

  it('a crash before the first checkpoint: the message does not promise one; SIGKILL: who it was', async function () {
    if (process.platform !== 'linux') return this.skip();
    for (const [signal, end] of [
      ['SIGFPE', /^the training process was ended by SIGFPE; there was no checkpoint yet$/],
      [
        'SIGKILL',
        /^the training process was ended by SIGKILL \(by somebody(, or by the system for want of memory)?\); there was no checkpoint yet$/,
      ],
    ] as const) {
      const onEvent = (event: TrainingEvent) => {
        if (event.type === 'step') process.kill(trainingProcesses(process.pid)[0]!, signal);
      };
      const error = await rejection(
        pretrain({ config: tinyConfig(source), runFolder: join(folder, signal), onEvent }),
      );
      expect(error.message).to.match(end);
    }
  });

  it('a statistic of a width that rests, a velocity or a queue entry that is not finite: no checkpoint, the tensor named', async () => {
    const config = tinyConfig(source, { epochs: 2, checkpoint: { everyEpochs: 1 } });
    const poison = (arena: Arena, name: string, value: number) => arena.write(name, Float32Array.of(value));
    for (const [name, poisoned] of [
      [
        'encoder.bn1.w0.50.running_var',
        ({ statistics }) => poison(statistics, 'encoder.bn1.w0.50.running_var', Infinity),
      ],
      [
        'velocity.encoder.bn1.w0.50.beta',
        ({ slots }) => poison(slots.get('velocity')!, 'encoder.bn1.w0.50.beta', NaN),
      ],
      ['key.encoder.bn1.w0.50.beta', ({ keys }) => poison(keys!, 'encoder.bn1.w0.50.beta', NaN)],
    ] as readonly [string, (state: Awaited<ReturnType<typeof prepareRun>>['state']) => Promise<void>][]) {
      const runFolder = join(folder, `poisoned-${name}`);
      const run = await prepareRun({ config, runFolder }, { onProgress: () => {}, onNotice: () => {} });
      await poisoned(run.state);
      const logged: TrainingEvent[] = [];
      const error = await rejection(
        trainingLoop(run, {
          emit: (event) => logged.push(event),
          openMonitor: () => Promise.reject(new Error('no monitor is asked for')),
          stop: new AbortController().signal,
          checkpointAsked: () => false,
        }),
      );
      expect(error.message).to.match(new RegExp(`^${name} is not finite after step 5; lower schedule.peak`));
      expect(logged.at(-1)).to.include({ type: 'stop', reason: 'diverged' });
      expect(await listCheckpoints(runFolder)).to.deep.equal([]);
    }
  });

  it('a torn, an empty or a missing config.json: the config of the checkpoint, with a notice; a wrong one is refused', async () => {
    const run = join(folder, 'torn');
    cpSync(measured, run, { recursive: true });
    const file = join(run, 'config.json');
    const config = await resumedConfig(run);
    for (const text of [readFileSync(file, 'utf8').slice(0, 100), '', '\0\0\0\0']) {
      writeFileSync(file, text);
      const notices: string[] = [];
      expect(await resumedConfig(run, { onNotice: (notice) => notices.push(notice) })).to.deep.equal(config);
      expect(notices).to.have.length(1);
      expect(notices[0]).to.match(
        /config\.json is torn: the config of .*step-00000018\.safetensors is taken$/,
      );
    }
    rmSync(file);
    expect((await resumedConfig(run, { set: ['data.workers=1'] })).data.workers).to.equal(1);
    writeFileSync(file, '{"epochs": "many"}');
    expect(await rejection(resumedConfig(run))).to.be.instanceOf(UsageError);
    const empty = await rejection(resumedConfig(join(folder, 'nothing')));
    expect(empty.message).to.match(
      /no run to resume \(config\.json is missing, and there is no checkpoint\)/,
    );
  });

  it('a second training beside one that runs, new or resumed: refused, the one that runs is untouched', async () => {
    const runFolder = join(folder, 'locked');
    const config = tinyConfig(source, { epochs: 1000 });
    const controller = new AbortController();
    let refused: Promise<Error[]> | undefined;
    const onEvent = (event: TrainingEvent) => {
      if (event.type !== 'step' || event.step !== 7) return;
      const others = [false, true].map((resume) => rejection(pretrain({ config, runFolder, resume })));
      refused = Promise.all(others).finally(() => controller.abort());
    };
    const { signal } = controller;
    expect(await pretrain({ config, runFolder, onEvent, signal })).to.equal('interrupted');
    for (const error of await refused!) {
      expect(error).to.be.instanceOf(SlimclrError).and.not.instanceOf(UsageError);
      expect(error.message).to.include(`is in use by process ${process.pid} on `);
    }
    expect(events(runFolder).filter(({ type }) => type === 'start')).to.have.length(1);
    expect(existsSync(join(runFolder, 'run.lock'))).to.equal(false);
  });

  describe('SEED', () => {
    let teachers: string[];

    before(async () => {
      const { models } = await exportRun(measured, { head: true });
      teachers = models.map(({ file }) => join(measured, file));
    });

    const config = (teacher: string) =>
      tinyConfig(source, { epochs: 2, method: { kind: 'seed', teacher, queueSize: 32 } });

    it('begun anew with another teacher before the first checkpoint: trains with that one; resumed: with its own', async () => {
      const runFolder = join(folder, 'seed');
      const copy = join(runFolder, 'programs', 'teacher.onnx');
      await pretrain({ config: config(teachers[0]!), runFolder, ...stopAt('start', 0) });
      expect(await sha256File(copy)).to.equal(await sha256File(teachers[0]!));
      const kept = join(folder, 'b.onnx');
      cpSync(teachers[1]!, kept);
      await pretrain({ config: config(relative('.', kept)), runFolder, ...stopAt('step', 7) });
      expect(await sha256File(copy)).to.equal(await sha256File(teachers[1]!));
      const saved = loadConfig({ file: join(runFolder, 'config.json') });
      expect(saved.method).to.include({ kind: 'seed', teacher: kept });
      cpSync(teachers[0]!, kept);
      expect(await pretrain({ config: config(kept), runFolder, resume: true })).to.equal('done');
      expect(await sha256File(copy)).to.equal(await sha256File(teachers[1]!));
    });

    it('with external data: they are copied, and the run is that of the teacher in one file', async () => {
      const there = join(folder, 'external');
      cpSync(join(teachers[0]!, '..'), there, { recursive: true });
      const teacher = join(there, 'big.onnx');
      writeExternal(teachers[0]!, teacher, 'big.onnx.data');
      expect(externalFiles(readFileSync(teacher))).to.deep.equal(['big.onnx.data']);
      const [whole, parts] = [join(folder, 'seed-whole'), join(folder, 'seed-parts')];
      await pretrain({ config: config(teachers[0]!), runFolder: whole });
      const controlled = stopAt('step', 7);
      await pretrain({ config: config(teacher), runFolder: parts, ...controlled });
      rmSync(there, { recursive: true });
      expect(await pretrain({ config: config(teacher), runFolder: parts, resume: true })).to.equal('done');
      await expectSameWeights(parts, whole);
    });

    it('with external data outside its folder, missing, or under a name of the program folder: refused', async () => {
      const teacher = join(folder, 'refused.onnx');
      writeFileSync(join(folder, 'weights.safetensors'), '');
      for (const location of [
        '../outside',
        '/etc/hostname',
        'missing.data',
        'weights.safetensors',
        'images',
      ]) {
        writeExternal(teachers[0]!, teacher, location, false);
        const error = await rejection(
          pretrain({ config: config(teacher), runFolder: join(folder, 'refused') }),
        );
        expect(error).to.be.instanceOf(UsageError);
        expect(error.message).to.include(`external data in "${location}"`).and.not.include('\n');
      }
    });
  });
});

/** The model with the data of its largest initializer in a file beside it. */
function writeExternal(from: string, to: string, location: string, withData = true): void {
  const model = proto.ModelProto.decode(readFileSync(from));
  const size = (tensor: { rawData?: Uint8Array | null }) => tensor.rawData?.length ?? 0;
  const [largest] = model.graph!.initializer!.toSorted((a, b) => size(b) - size(a));
  if (withData) writeFileSync(join(to, '..', location), largest!.rawData!);
  largest!.dataLocation = proto.TensorProto.DataLocation.EXTERNAL;
  largest!.externalData = [{ key: 'location', value: location }];
  largest!.rawData = new Uint8Array();
  delete (largest as { rawData?: Uint8Array }).rawData;
  writeFileSync(to, proto.ModelProto.encode(model).finish());
}
