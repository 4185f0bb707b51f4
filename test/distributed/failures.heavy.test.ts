import { execFileSync } from 'node:child_process';
import { expect } from 'chai';
import { cpSync, existsSync, mkdtempSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { ConfigInput } from '../../src/config/schema.js';
import { latestCheckpoint, listCheckpoints, readCheckpoint } from '../../src/training/checkpoint.js';
import type { LoggedEvent } from '../../src/training/events.js';
import { slimclrAs } from '../cli/slimclr.js';
import { writeImages } from '../evaluation/tinyRun.js';
import { isRunning, trainingProcesses } from '../support/childProcesses.js';
import { launchers, launchSlimclr, type Launched } from '../support/launchers.js';
import { tinyConfig } from '../training/tinyConfig.js';
import { removeFolder } from '../support/removeFolder.js';

/** Milliseconds in which all ranks are to have ended. */
const soon = 30_000;

const root = resolve(import.meta.dirname, '../../..');

describe('what goes wrong at a rank ends all ranks with one line', function () {
  this.timeout(120_000);
  let folder: string;
  let source: string;

  before(async function () {
    if (process.platform !== 'linux' || launchers.length === 0) return this.skip();
    folder = mkdtempSync(join(tmpdir(), 'slimclr-failures-'));
    source = join(folder, 'images');
    await writeImages(source, 24, 1);
  });
  after(() => folder && removeFolder(folder));

  /** Ranks of a training, whose ids are in files; `script` runs before each. */
  function train(
    run: string,
    ranks: number,
    input: ConfigInput,
    script = '',
    launcher = launchers.at(-1)!,
  ): Launched {
    const config = tinyConfig(input.data?.source ?? source, {
      ...{
        accumulation: 4,
        batchSize: 4,
        epochs: 200,
        method: { kind: 'moco-v2', queueSize: 64, dimension: 16 },
      },
      ...input,
    });
    const file = `${run}.json`;
    writeFileSync(file, JSON.stringify(config));
    const args = ['pretrain', '--config', file, '--output', run, '--resume', 'auto'];
    return launchSlimclr(launcher, ranks, args, `echo $$ > ${run}.pid.$rank; ${script}`);
  }

  /** Waits for a step of a run; gives the ids of its ranks' processes that train, and of all. */
  async function trainingOf(run: string, ranks: number, { child }: Launched, step: number) {
    const reached = () =>
      eventsOf(run).some((event) => event.type === 'step' && event.step >= step) || child.exitCode !== null;
    while (!reached()) await sleep(50);
    const parents = Array.from({ length: ranks }, (_, i) => Number(readFileSync(`${run}.pid.${i}`, 'utf8')));
    const training = parents.map((id) => trainingProcesses(id)[0]!);
    return { training, all: [...parents, ...training] };
  }

  const eventsOf = (run: string) => {
    const file = join(run, 'events.jsonl');
    if (!existsSync(file)) return [];
    const lines = readFileSync(file, 'utf8').split('\n');
    return lines.filter((line) => line.endsWith('}')).map((line) => JSON.parse(line) as LoggedEvent);
  };

  /** The one line of a training that has failed. */
  async function lineOf({ exited }: Launched): Promise<string> {
    const { code, stderr } = await exited;
    expect(code, stderr).not.to.equal(0);
    const lines = stderr.split('\n').filter((line) => line.startsWith('slimclr: '));
    expect(lines, stderr).to.have.length(1);
    return lines[0]!;
  }

  async function expectEnded(ids: readonly number[], began: number): Promise<void> {
    while (ids.some((id) => isRunning(id)) && performance.now() - began < soon) await sleep(50);
    expect(ids.filter((id) => isRunning(id))).to.deep.equal([]);
    expect(performance.now() - began).to.be.below(soon);
  }

  it('a process that stops: all end, the last checkpoint is good, and the run goes on from it with more ranks', async () => {
    const run = join(folder, 'stopped');
    const runtime = { stepTimeout: 2 };
    const launched = train(run, 2, { runtime });
    const { training, all } = await trainingOf(run, 2, launched, 4);
    process.kill(training[1]!, 'SIGSTOP');
    const began = performance.now();
    expect(await lineOf(launched)).to.match(
      /^slimclr: (rank 1 on \S+: missing for 2 s|data has been on its way .* for 2 s) \(runtime\.stepTimeout\).*; the last checkpoint is kept$/,
    );
    await expectEnded(all, began);
    const { step } = await readCheckpoint((await latestCheckpoint(run)).path);
    expect(step).to.be.at.least(3);
    const more = train(run, 4, { epochs: Math.floor(step / 3) + 1, runtime, checkpoint: { everyEpochs: 1 } });
    const { code, stderr } = await more.exited;
    expect(code, stderr).to.equal(0);
    expect(stderr).to.match(/runtime\.replicas is 4, 2 at the checkpoint: .* differ in their last bits/);
  });

  it('a full disk at rank 0: the last checkpoint is good, and the run goes on from it', async function () {
    if (!isInstalled('prlimit')) return this.skip();
    const run = join(folder, 'full');
    const launched = train(run, 2, {});
    const { training, all } = await trainingOf(run, 2, launched, 4);
    while ((await listCheckpoints(run)).length === 0) await sleep(50);
    const { step } = await latestCheckpoint(run);
    // Checkpoints are larger: writing one fails in the middle, as on a full disk.
    execFileSync('prlimit', ['--pid', String(training[0]), '--fsize=1000000']);
    const began = performance.now();
    expect(await lineOf(launched)).to.match(
      /^slimclr: checkpoint .* could not be written: .*; earlier checkpoints are kept/,
    );
    await expectEnded(all, began);
    const kept = await readCheckpoint((await latestCheckpoint(run)).path);
    expect(kept.step).to.be.at.least(step);
    const { code, stderr } = await train(run, 2, { epochs: Math.floor(kept.step / 3) + 1 }).exited;
    expect(code, stderr).to.equal(0);
  });

  it('before it has joined the others, at one rank or at all: every launcher ends them, and it is said once', async () => {
    copyPackage(join(folder, 'bare'));
    const cases: readonly [script: string, code: number, line: RegExp][] = [
      [
        `[ $rank = 0 ] || set -- "$@" --set runtime.mpiLibrary=/nowhere/libmpi.so`,
        2,
        /^slimclr: rank 1 on \S+: runtime\.mpiLibrary \/nowhere\S+ does not load /,
      ],
      [`set -- "$@" --nonsense`, 2, /^slimclr: unknown option '--nonsense'$/],
      [
        `if [ $rank = 1 ]; then node=$1; shift 2; set -- $node ${folder}/bare/bin/slimclr.js "$@"; fi`,
        1,
        /^slimclr: rank 1 on \S+: it does not start \(Cannot find package /,
      ],
    ];
    await Promise.all(
      launchers.flatMap((launcher) =>
        cases.map(async ([script, code, line], i) => {
          const launched = train(
            join(folder, `unjoined-${launcher.name.replace(' ', '')}-${i}`),
            2,
            {},
            script,
            launcher,
          );
          expect(await lineOf(launched), launcher.name).to.match(line);
          expect((await launched.exited).code, launcher.name).to.equal(code);
        }),
      ),
    );
  });

  it('killed while it waits for others to join: its training ends with it, and so do all', async () => {
    await Promise.all(
      launchers.map(async (launcher) => {
        const run = join(folder, `waiting-${launcher.name.replace(' ', '')}`);
        const launched = train(run, 2, {}, '[ $rank = 0 ] || exec sleep 600', launcher);
        let ids: { readonly parent: number; readonly training: number } | undefined;
        while (!ids && launched.child.exitCode === null) {
          await sleep(50);
          const file = `${run}.pid.0`;
          const parent = existsSync(file) ? Number(readFileSync(file, 'utf8')) : 0;
          const [training] = parent > 0 ? trainingProcesses(parent) : [];
          if (training === undefined) continue;
          if (readFileSync(`/proc/${training}/maps`, 'utf8').includes('/libmpi')) ids = { parent, training };
        }
        // What joins is called as soon as its library is loaded.
        await sleep(1000);
        process.kill(ids!.parent, 'SIGKILL');
        const began = performance.now();
        expect((await launched.exited).code, launcher.name).not.to.equal(0);
        await expectEnded([ids!.training], began);
      }),
    );
  });

  it('tasks of srun without MPI: the first one says it, all fail', async () => {
    const outcomes = await Promise.all(
      ['0', '1'].map((rank) =>
        slimclrAs(
          { env: { SLURM_STEP_NUM_TASKS: '2', SLURM_PROCID: rank, SLURM_LOCALID: rank } },
          ...['pretrain', '--preset', 'images', '--output', join(folder, 'srun')],
        ),
      ),
    );
    expect(outcomes.map(({ code }) => code)).to.deep.equal([1, 1]);
    expect(outcomes[0]!.stderr).to.match(/^slimclr: srun has started several tasks that cannot find each other; accepted: /); // prettier-ignore
    expect(outcomes[1]!.stderr).to.equal('');
  });

  it('another version of the package at one rank', async () => {
    const other = join(folder, 'other');
    copyPackage(other);
    symlinkSync(join(root, 'node_modules'), join(other, 'node_modules'));
    const description = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as object;
    writeFileSync(join(other, 'package.json'), JSON.stringify({ ...description, version: '9.9.9' }));
    const script = `if [ $rank = 1 ]; then node=$1; shift 2; set -- $node ${other}/bin/slimclr.js "$@"; fi`;
    expect(await lineOf(train(join(folder, 'mixed'), 2, {}, script))).to.match(
      /^slimclr: rank 1 on \S+ has slimclr 9\.9\.9, rank 0 on \S+ \d\S+; accepted: the same everywhere$/,
    );
  });

  it('other images at one rank', async () => {
    const [here, there] = [join(folder, 'here'), join(folder, 'there')];
    await writeImages(join(here, 'images'), 24, 2);
    await writeImages(join(there, 'images'), 24, 3);
    const script = `cd ${here}; if [ $rank = 1 ]; then cd ${there}; fi`;
    const data = { source: '/proc/self/cwd/images' };
    expect(await lineOf(train(join(folder, 'others'), 2, { data }, script))).to.match(
      /^slimclr: rank 1 on \S+ has in \/proc\/self\/cwd\/images the images \S+, rank 0 on \S+ \S+; accepted: the same everywhere$/,
    );
  });
});

/** What the package holds, without those that it depends on. */
function copyPackage(to: string): void {
  for (const part of ['bin', 'dist/src', 'package.json'])
    cpSync(join(root, part), join(to, part), { recursive: true });
}

function isInstalled(command: string): boolean {
  try {
    execFileSync(command, ['--version'], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}
