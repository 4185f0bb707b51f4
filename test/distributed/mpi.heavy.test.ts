import { expect } from 'chai';
import { mkdirSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import type { Config, ConfigInput } from '../../src/config/schema.js';
import { exportRun } from '../../src/export/exportRun.js';
import { latestCheckpoint } from '../../src/training/checkpoint.js';
import type { LoggedEvent } from '../../src/training/events.js';
import { FolderLock } from '../../src/training/folderLock.js';
import { pretrain } from '../../src/training/pretrain.js';
import { writeImages } from '../evaluation/tinyRun.js';
import { launch, launcherNames, launcherOf, launchSlimclr, type TestLauncher } from '../support/launchers.js';
import { tinyConfig } from '../training/tinyConfig.js';
import { removeFolder } from '../support/removeFolder.js';

type MethodInput = NonNullable<ConfigInput['method']>;

/** Another library than that of the launcher. */
const mpiLibrary = process.env.SLIMCLR_MPI_LIBRARY ?? '';

/** A start of ranks, 2 unless told, that ends with one line and a code, 2 unless told; `script` runs before each. */
interface RefusalCase {
  readonly ranks?: number;
  /** Assignments. */
  readonly set?: string;
  readonly script?: string;
  readonly line: RegExp;
  readonly code?: number;
}

const groupRank = fileURLToPath(new URL('./groupRank.js', import.meta.url));
const head = { hiddenDimension: 24, dimension: 16, headInitialization: 'uniform' } as const;
const moco: MethodInput = { kind: 'moco-v2', queueSize: 64, dimension: 16 };

describe('training as ranks of a launcher of MPI', function () {
  this.timeout(180_000);
  let folder: string;
  let source: string;

  before(async function () {
    if (process.platform !== 'linux') return this.skip();
    folder = mkdtempSync(join(tmpdir(), 'slimclr-mpi-'));
    source = join(folder, 'images');
    await writeImages(source, 24, 1);
  });
  after(() => folder && removeFolder(folder));

  /** Four micro-batches a step, three steps an epoch, one epoch. */
  const configOf = (input: ConfigInput) =>
    tinyConfig(source, {
      ...{ accumulation: 4, batchSize: 4, epochs: 1, techniques: { slowStart: { kind: 'none' } } },
      ...input,
      runtime: { mpiLibrary },
    });

  const measured = () =>
    configOf({ method: moco, monitor: { kind: 'knn', everyEpochs: 1 }, diagnostics: { everySteps: 2 } });

  function installed(name: TestLauncher['name']): TestLauncher {
    const launcher = launcherOf(name);
    if (!launcher) throw new Error(`${name} is not installed`);
    return launcher;
  }

  function fileOf(config: Config, name: string): string {
    const path = join(folder, `${name}.json`);
    writeFileSync(path, JSON.stringify(config));
    return path;
  }

  async function expectSameCheckpoint(run: string, expected: string): Promise<void> {
    const [a, b] = await Promise.all([run, expected].map((folder) => latestCheckpoint(folder)));
    expect(a!.step).to.equal(b!.step);
    expect(Buffer.compare(readFileSync(a!.path), readFileSync(b!.path)), run).to.equal(0);
  }

  const eventsOf = (run: string) =>
    readFileSync(join(run, 'events.jsonl'), 'utf8')
      .split('\n')
      .filter((line) => line.endsWith('}'))
      .map((line) => JSON.parse(line) as LoggedEvent);

  /** What a log says of the numbers of a run. */
  const numbersOf = (run: string) =>
    eventsOf(run).flatMap((event): unknown[] =>
      event.type === 'step'
        ? [{ step: event.step, losses: event.losses }]
        : event.type === 'diagnostics'
          ? [event.diagnostics]
          : event.type === 'knn'
            ? [event.accuracies]
            : [],
    );

  const lossesOf = (numbers: readonly unknown[]) =>
    numbers.flatMap((number) => {
      const { losses } = number as { readonly losses?: Readonly<Record<string, { readonly loss: number }>> };
      return Object.values(losses ?? {}).map(({ loss }) => loss);
    });

  const ofThreads = new Map<string, string>();
  /** The run of one process with so many replicas. */
  async function runOfThreads(replicas: number, config: Config): Promise<string> {
    const replicated = { ...config, runtime: { ...config.runtime, replicas } };
    const known = ofThreads.get(JSON.stringify(replicated));
    if (known !== undefined) return known;
    const run = join(folder, `threads-${ofThreads.size}`);
    expect(await pretrain({ config: replicated, runFolder: run })).to.equal('done');
    ofThreads.set(JSON.stringify(replicated), run);
    return run;
  }

  /** The run of ranks, and that of one process with as many replicas: the same file. */
  async function expectSameBits(launcher: TestLauncher, ranks: number, config: Config): Promise<string> {
    const name = `${launcher.name}-${ranks}-${config.method.kind}-${config.runtime.wire}`.replaceAll(' ', '');
    const run = join(folder, name);
    const args = ['pretrain', '--config', fileOf(config, name), '--output', run];
    const { code, stderr } = await launchSlimclr(launcher, ranks, args).exited;
    expect(code, stderr).to.equal(0);
    // One rank speaks.
    expect(stderr.match(/training resnet20/g), stderr).to.have.length(1);
    const threads = await runOfThreads(ranks, config);
    await expectSameCheckpoint(run, threads);
    expect(numbersOf(run)).to.deep.equal(numbersOf(threads)).and.not.empty;
    return run;
  }

  for (const name of launcherNames) {
    describe(name, () => {
      before(function () {
        if (!launcherOf(name)) this.skip();
      });

      it('a group of three: sums, values and memory of any size, waiting without a processor', async () => {
        const { code, stdout, stderr } = await launch(installed(name), 3, process.execPath, groupRank).exited;
        expect(code, stderr).to.equal(0);
        const found = JSON.parse(stdout) as { size: number; version: string; waited: number };
        expect(found.size).to.equal(3);
        expect(found.version).to.match(
          name === 'MPICH' ? /^(MPICH|Intel\(R\) MPI Library) \d/ : /^Open MPI \d/,
        );
        expect(found.waited).to.be.lessThan(0.5);
      });

      it('four ranks of MoCo v2 with monitor and diagnostics: the checkpoint and the numbers of four threads', async () => {
        await expectSameBits(installed(name), 4, measured());
      });
    });
  }

  const methods: readonly [launcher: TestLauncher['name'], method: MethodInput][] = [
    ['MPICH', { kind: 'moco-v3', ...head }],
    ['Open MPI', { kind: 'simclr', ...head }],
  ];
  for (const [name, method] of methods) {
    it(`${method.kind}, two ranks of ${name}: the checkpoint and the losses of two threads`, async function () {
      if (!launcherOf(name)) return this.skip();
      await expectSameBits(installed(name), 2, configOf({ method }));
    });
  }

  it('supervised, gradients that travel as bfloat16, two ranks of MPICH: the checkpoint of two threads, another than that of float32', async function () {
    if (!launcherOf('MPICH')) return this.skip();
    const config = configOf({ method: { kind: 'supervised', classes: 2, headInitialization: 'uniform' } });
    const rounded = { ...config, runtime: { ...config.runtime, wire: 'bfloat16' as const } };
    const run = await expectSameBits(installed('MPICH'), 2, rounded);
    const plain = await runOfThreads(2, config);
    const [a, b] = [numbersOf(run), numbersOf(plain)].map((numbers) => lossesOf(numbers));
    expect(a).not.to.deep.equal(b);
    for (const [i, loss] of a!.entries()) expect(loss).to.be.closeTo(b![i]!, 0.02);
  });

  it('SEED with a teacher, two ranks of Open MPI: the checkpoint and the losses of two threads', async function () {
    if (!launcherOf('Open MPI')) return this.skip();
    const run = await runOfThreads(4, measured());
    const { models } = await exportRun(run, { widths: [1], head: true });
    const teacher = join(run, models[0]!.file);
    const method = { kind: 'seed', teacher, queueSize: 64, dimension: 16 } as const;
    await expectSameBits(installed('Open MPI'), 2, configOf({ method, batchSize: 4 }));
  });

  it('SIGTERM to one rank: all stop after the same step; resumed, where rank 1 has no folder of the run, as if nothing had been', async function () {
    if (!launcherOf('MPICH')) return this.skip();
    const config = configOf({ method: moco, epochs: 6 });
    const run = join(folder, 'stopped');
    const elsewhere = join(folder, 'elsewhere');
    mkdirSync(elsewhere);
    const script = `cd ${folder}; echo $$ > pid.$rank; if [ $rank = 1 ]; then cd ${elsewhere}; fi`;
    const args = ['pretrain', '--config', fileOf(config, 'stopped'), '--output', 'stopped'];
    const { child, exited } = launchSlimclr(installed('MPICH'), 2, args, script);
    const stepped = () => {
      try {
        return eventsOf(run).some((event) => event.type === 'step' && event.step >= 2);
      } catch {
        return false;
      }
    };
    while (!stepped() && child.exitCode === null) await sleep(50);
    process.kill(Number(readFileSync(join(folder, 'pid.1'), 'utf8')), 'SIGTERM');
    const { stderr } = await exited;
    expect(stderr).to.include('interrupted; `slimclr pretrain --output stopped --resume` goes on');
    expect(eventsOf(run).at(-1)).to.include({ type: 'stop', reason: 'interrupted' });
    const going = ['pretrain', '--output', 'stopped', '--resume'];
    const resumed = await launchSlimclr(installed('MPICH'), 2, going, script).exited;
    expect(resumed.code, resumed.stderr).to.equal(0);
    await expectSameCheckpoint(run, await runOfThreads(2, config));
  });

  it('what cannot be shared, a library of another launcher, what one rank alone minds: one line, said once, and all end', async function () {
    if (!launcherOf('MPICH')) return this.skip();
    const config = fileOf(configOf({ method: moco }), 'refused');
    const locked = join(folder, 'locked');
    const lock = await FolderLock.acquire(locked, { command: 'another training' });
    const cases: readonly RefusalCase[] = [
      { ranks: 3, line: /^slimclr: 3 ranks of mpiexec cannot share accumulation 4 equally; accepted: accumulation of a multiple of 3$/ }, // prettier-ignore
      {
        set: 'accumulation=1 batchSize=8',
        line: /accumulation 1 equally; accepted: accumulation of a multiple of 2, such as batchSize=4 with accumulation=2$/,
      },
      {
        set: 'runtime.replicas=4',
        line: /^slimclr: runtime\.replicas 4 with 2 ranks of mpiexec, one replica each; accepted: 1 or 2$/,
      },
      { line: /locked is in use by process \d+ on .*\(another training\)/, code: 1 },
      // Before it has joined the others, who would wait for it.
      { set: 'epochs=0', line: /^slimclr: config: epochs is 0; accepted: / },
      {
        script: 'if [ $rank = 0 ]; then set -- "$@" --set runtime.mpiLibrary=none.so; fi',
        line: /^slimclr: runtime\.mpiLibrary none\.so does not load \(/,
      },
    ];
    const ofOpenMpi: RefusalCase = {
      set: 'runtime.mpiLibrary=libmpi.so.40',
      line: /runtime\.mpiLibrary libmpi\.so\.40 is Open MPI \S+, which mpiexec cannot join; accepted: MPICH /,
    };
    try {
      for (const { ranks = 2, set, script, line, code: expected = 2 } of [
        ...cases,
        ...(launcherOf('Open MPI') ? [ofOpenMpi] : []),
      ]) {
        const output = expected === 1 ? locked : join(folder, 'refused');
        const sets = (set?.split(' ') ?? []).flatMap((assignment) => ['--set', assignment]);
        const args = ['pretrain', '--config', config, '--output', output, ...sets];
        const { code, stderr } = await launchSlimclr(installed('MPICH'), ranks, args, script).exited;
        expect(code, stderr).to.equal(expected);
        const lines = stderr.split('\n').filter((text) => text.startsWith('slimclr: '));
        expect(lines, stderr).to.have.length(1);
        expect(lines[0]).to.match(line);
      }
    } finally {
      lock.release();
    }
  });
});
