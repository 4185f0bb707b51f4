import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from 'chai';
import { parse } from 'yaml';
import { latestCheckpoint } from '../../src/training/checkpoint.js';
import { executable, slimclr, writeTinyConfig } from '../cli/slimclr.js';
import { writeImages } from '../evaluation/tinyRun.js';
import { childProcesses } from '../support/childProcesses.js';
import { codeBlocks } from './markdown.js';
import { repository } from './tarball.js';
import { removeFolder } from '../support/removeFolder.js';

const document = readFileSync(join(repository, 'docs/operations.md'), 'utf8');
const blockWith = (language: string, text: string): string => {
  const [block, ...others] = codeBlocks(document, language).filter((code) => code.includes(text));
  if (block === undefined || others.length > 0) throw new Error(`one block with ${text} is expected`);
  return block;
};
const canUnshare =
  process.platform === 'linux' &&
  spawnSync('unshare', ['--fork', '--pid', '--mount-proc', 'true']).status === 0;
const canVerify = spawnSync('systemd-analyze', ['--version']).status === 0;

describe('job scripts of docs/operations.md', function () {
  this.timeout(120_000);
  let folder: string;
  let config: string;
  before(async function () {
    if (process.platform === 'win32') return this.skip();
    folder = mkdtempSync(join(tmpdir(), 'slimclr-operations-'));
    await writeImages(join(folder, 'images'), 8, 1);
    config = writeTinyConfig(folder, join(folder, 'images'), { epochs: 1000 });
  });
  after(() => folder && removeFolder(folder));

  async function reached(run: string, step: number, child: ChildProcess): Promise<void> {
    const log = join(run, 'events.jsonl');
    const isReached = () =>
      existsSync(log) && new RegExp(`"type":"step",.*"step":${step},`).test(readFileSync(log, 'utf8'));
    while (!isReached()) {
      expect(child.exitCode, 'ended early').to.equal(null);
      await sleep(50);
    }
  }

  const ended = (child: ChildProcess) =>
    new Promise<number | null>((resolve) => child.once('close', (code) => resolve(code)));

  it('Slurm: told of its end it has a checkpoint written and is requeued; then it goes on, and is not when it is done', async () => {
    const place = join(folder, 'slurm');
    const bin = join(place, 'bin');
    mkdirSync(bin, { recursive: true });
    const command = (name: string, lines: readonly string[]) => {
      writeFileSync(join(bin, name), ['#!/bin/bash', ...lines, ''].join('\n'));
      chmodSync(join(bin, name), 0o755);
    };
    // What Slurm does on one node: a step is a process, of which scancel knows.
    command('srun', ['[ "$1" = --mpi=none ] && shift', `echo $$ > ${place}/step`, 'exec "$@"']);
    command('scancel', [`[ "$*" = "--signal=TERM 7" ] && kill -TERM $(cat ${place}/step)`]);
    command('scontrol', [`echo "$*" >> ${place}/scontrol.log`]);
    // The training of the script in seconds.
    command('slimclr', [
      'args=()',
      'for word; do',
      '  case $word in',
      `    images) args+=(${config}) ;;`,
      '    --preset) args+=(--config) ;;',
      '    data.source=*) args+=("epochs=$EPOCHS") ;;',
      '    *) args+=("$word") ;;',
      '  esac',
      'done',
      `exec ${process.execPath} ${executable} "\${args[@]}"`,
    ]);
    const script = join(place, 'job.sh');
    writeFileSync(script, blockWith('sh', '#SBATCH'));
    const job = (epochs: number) =>
      spawn('bash', [script], {
        cwd: place,
        env: {
          ...process.env,
          PATH: `${bin}:${process.env.PATH}`,
          SLURM_JOB_ID: '7',
          EPOCHS: String(epochs),
        },
        stdio: ['ignore', 'ignore', 'inherit'],
      });
    const requeued = () =>
      existsSync(join(place, 'scontrol.log')) ? readFileSync(join(place, 'scontrol.log'), 'utf8') : '';

    const run = join(place, 'runs/photos');
    const first = job(1000);
    const firstEnd = ended(first);
    await reached(run, 3, first);
    first.kill('SIGUSR1');
    expect(await firstEnd).to.equal(143);
    expect(requeued()).to.equal('requeue 7\n');
    const { step } = await latestCheckpoint(run);
    expect(step).to.be.at.least(4);
    // Two steps an epoch.
    const epochs = Math.ceil(step / 2) + 1;
    expect(await ended(job(epochs))).to.equal(0);
    expect((await latestCheckpoint(run)).step).to.equal(2 * epochs);
    expect(requeued()).to.equal('requeue 7\n');
  });

  (canUnshare ? it : it.skip)(
    `as the first process of a container: SIGTERM writes a checkpoint and ends it with 143, a second one at once${canUnshare ? '' : ' (not here: no namespace of processes)'}`,
    async () => {
      const run = join(folder, 'container');
      const contained = () => {
        const command = ['pretrain', '--config', config, '--output', run, '--resume', 'auto', '--quiet'];
        const options = ['--fork', '--pid', '--mount-proc', '--kill-child'];
        return spawn('unshare', [...options, process.execPath, executable, ...command], { stdio: 'inherit' });
      };
      for (const step of [3, 30]) {
        const container = contained();
        const end = ended(container);
        await reached(run, step, container);
        const [first] = childProcesses(container.pid!);
        process.kill(first!, 'SIGTERM');
        expect(await end).to.equal(143);
        expect((await latestCheckpoint(run)).step).to.be.at.least(step + 1);
      }
    },
  );

  it('Docker and Kubernetes: the arguments are those of a training; exit codes of failures, a grace period', async () => {
    const docker = blockWith('sh', 'docker run').replaceAll('\\\n', '');
    expect(Number(/--stop-timeout (\d+) /.exec(docker)![1])).to.be.at.least(60);
    // Without a number a wrong call is started again for ever.
    expect(docker).to.match(/ --restart on-failure:\d /);
    const [, words] = /^ *slimclr (pretrain .*)|slimclr (pretrain [^\n]*)/m.exec(docker)!.filter(Boolean);
    const job = parse(blockWith('yaml', 'kind: Job')) as {
      readonly spec: {
        readonly podFailurePolicy: {
          readonly rules: readonly {
            readonly onExitCodes?: { values: number[] };
            readonly onPodConditions?: object[];
          }[];
        };
        readonly template: {
          readonly spec: {
            readonly terminationGracePeriodSeconds: number;
            readonly containers: readonly { readonly name: string; readonly args: readonly string[] }[];
          };
        };
      };
    };
    const { containers, terminationGracePeriodSeconds } = job.spec.template.spec;
    expect(terminationGracePeriodSeconds).to.be.at.least(60);
    const [failure, disruption] = job.spec.podFailurePolicy.rules;
    expect(failure!.onExitCodes!.values).to.deep.equal([1, 2]);
    // Schemas before 1.35 ask for the status, as a text.
    expect(disruption!.onPodConditions).to.deep.equal([{ type: 'DisruptionTarget', status: 'True' }]);
    for (const args of [words!.split(/ +/), containers[0]!.args]) {
      const { code, stdout, stderr } = await slimclr(...args, '--dry-run');
      expect(code, stderr).to.equal(0);
      expect(JSON.parse(stdout)).to.deep.include({ epochs: 200 });
    }
  });

  it('systemd: a checkpoint is no failure, a time limit is started again, a failure is not', () => {
    const unit = blockWith('ini', '[Service]');
    const value = (key: string) => new RegExp(`^${key}=(.*)$`, 'm').exec(unit)![1];
    expect(Number(value('TimeoutStopSec'))).to.be.at.least(60);
    // To the training process as well, the signal would be told twice.
    expect(value('KillMode')).to.equal('mixed');
    expect(value('SuccessExitStatus')).to.equal('143');
    expect(value('RestartForceExitStatus')).to.equal('75');
    expect(value('Restart')).to.equal('on-abnormal');
  });

  (canVerify ? it : it.skip)(
    `systemd: the unit is valid${canVerify ? '' : ' (not here: no systemd-analyze)'}`,
    () => {
      const unit = join(folder, 'slimclr.service');
      writeFileSync(
        unit,
        blockWith('ini', '[Service]')
          .replace('/srv/slimclr/node_modules/.bin/slimclr', executable)
          .replace(/WorkingDirectory=.*/, `WorkingDirectory=${folder}`),
      );
      const { status, stderr } = spawnSync('systemd-analyze', ['verify', unit], { encoding: 'utf8' });
      expect(stderr.split('\n').filter((line) => line.includes('slimclr.service'))).to.deep.equal([]);
      expect(status, stderr).to.equal(0);
    },
  );
});
