/**
 * How much longer a step takes as ranks than in one process on the same cores, of a ResNet-18 on CIFAR-10 unless told.
 * `node dist/tools/mpi/efficiency.js` compares one process, its replicas and ranks of the launchers that are installed;
 * with `--hosts 2,4 --rates 1gbit,10gbit`, as root, ranks of one thread each on hosts of hosts.sh, their gradients as
 * float32 and as bfloat16. All take turns, for so many rounds. One line each: seconds of a step (median), of these
 * inside ONNX Runtime, those of the one process in percent, and what a host has sent.
 * `--set KEY=VALUE` trains something else, such as `--set encoder.name=resnet50 --set data.imageSize=64`.
 * `-- COMMAND...` measures ranks of one thread each that the command starts.
 */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import type { LoggedEvent } from '../../src/training/events.js';
import { executable } from '../../test/cli/slimclr.js';
import { launcherEnvironment, launchers } from '../../test/support/launchers.js';
import { hostsDown, hostsEnvironment, hostsLaunch, hostsUp, sentBytes } from './hosts.js';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    hosts: { type: 'string' },
    rates: { type: 'string', default: '1gbit,10gbit' },
    wires: { type: 'string', default: 'float32,bfloat16' },
    launchers: { type: 'string', default: launchers.map(({ name }) => name).join() },
    rounds: { type: 'string', default: '1' },
    steps: { type: 'string', default: '6' },
    set: { type: 'string', multiple: true, default: [] },
  },
});

/** Steps that warm up. */
const warmUp = 2;
/** Micro-batches of 32 images, four a step. */
const sets = [
  `data.limit=${128 * Number(values.steps)}`,
  ...['batchSize=32', 'accumulation=4', 'method.queueSize=1024', 'epochs=1'],
  ...['techniques.slowStart={"kind":"none"}', 'monitor={"kind":"none"}', 'checkpoint.everyEpochs=0'],
];
const common = ['--preset', 'cifar10-resnet18', '--quiet', '--tune', 'off'];

/** What is measured, and of each step what it found. */
interface Case {
  readonly title: string;
  readonly sets: readonly string[];
  /** Begins the command. */
  readonly launch: readonly string[];
  readonly host?: { readonly count: number; readonly rate: string };
  readonly steps: Extract<LoggedEvent, { type: 'step' }>[];
  /** Bytes that the first host has sent in a run, by round. */
  readonly sent: number[];
}

const folder = mkdtempSync(join(tmpdir(), 'slimclr-efficiency-'));
const cases = positionals.length > 0 ? [given()] : values.hosts === undefined ? onThisMachine() : onHosts();
try {
  const rounds = Number(values.rounds);
  for (let round = 1; round <= rounds; round++) {
    for (const each of cases) {
      measure(each);
      if (round === rounds) report(each);
    }
  }
} finally {
  rmSync(folder, { recursive: true });
  if (values.hosts !== undefined) hostsDown();
}

function caseOf(title: string, launch: readonly string[] = [], sets: readonly string[] = []): Case {
  return { title, launch, sets, steps: [], sent: [] };
}

function given(): Case {
  return caseOf(positionals.join(' '), positionals, ['runtime.threads=1']);
}

function onThisMachine(): Case[] {
  const cases = [caseOf('one process')];
  for (const count of [2, 4]) {
    cases.push(caseOf(`${count} replicas of one process`, [], [`runtime.replicas=${count}`]));
    for (const { name, command, options } of used()) {
      cases.push(caseOf(`${count} ranks of ${name}`, [command, ...options, '-n', String(count)]));
    }
  }
  return cases;
}

function onHosts(): Case[] {
  const cases = [caseOf('one process')];
  for (const rate of values.rates.split(',')) {
    for (const count of values.hosts!.split(',').map(Number)) {
      for (const launcher of used()) {
        for (const wire of values.wires.split(',')) {
          const title = `${count} hosts at ${rate}, ${launcher.name}, ${wire}`;
          const sets = ['runtime.threads=1', `runtime.wire=${wire}`];
          cases.push({ ...caseOf(title, hostsLaunch(launcher, count), sets), host: { count, rate } });
        }
      }
    }
  }
  return cases;
}

function used() {
  return launchers.filter(({ name }) => values.launchers.split(',').includes(name));
}

function measure({ launch, sets: own, host, steps, sent }: Case): void {
  const run = join(folder, String(performance.now()));
  // By key: what is told takes the place of what is set here.
  const assignments = [...sets, ...own, ...values.set].map((text) => [text.split('=', 1)[0]!, text] as const);
  const options = [...new Map(assignments).values()].flatMap((assignment) => ['--set', assignment]);
  const slimclr = [process.execPath, executable, 'pretrain', ...common, ...options, '--output', run];
  const [command, ...args] = [...launch, ...slimclr];
  if (host) hostsUp(host.count, host.rate);
  const env = host ? hostsEnvironment : launcherEnvironment;
  const { status, stderr } = spawnSync(command!, args, { env, encoding: 'utf8' });
  if (status !== 0) throw new Error(stderr);
  if (host) sent.push(sentBytes());
  const events = readFileSync(join(run, 'events.jsonl'), 'utf8')
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as LoggedEvent);
  for (const event of events) if (event.type === 'step' && event.step >= warmUp) steps.push(event);
}

function report({ title, steps, sent }: Case): void {
  const step = median(steps.map(({ seconds }) => seconds));
  const compute = median(steps.map(({ computeSeconds }) => computeSeconds));
  const whole = median(cases[0]!.steps.map(({ seconds }) => seconds));
  const share = cases.length > 1 ? `, ${((100 * whole) / step).toFixed(0)} %` : '';
  const bytes = sent.length > 0 ? `, ${(median(sent) / 1e6).toFixed(0)} MB sent in all` : '';
  console.log(
    `${title}: ${step.toFixed(2)} s a step, ${compute.toFixed(2)} s in ONNX Runtime${share}${bytes}`,
  );
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)]!;
}
