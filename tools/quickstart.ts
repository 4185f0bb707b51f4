/*
 * From nothing to a family of small encoders with the ordinary commands, one after the other: CIFAR-10 fetched, a
 * ResNet-20 pre-trained at four widths, evaluated beside the randomly initialised one, exported and reported.
 * Run again it goes on where it was stopped; `--fresh` starts over.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { formatDuration } from '../src/report/duration.js';

const run = join('runs', 'quickstart');
/** What differs from the preset: a run of minutes instead of a day. */
const settings = ['epochs=10', 'techniques.slowStart.epochs=2', 'data.limit=10000', 'data.viewSize=20'];
/** Half of the test images: the evaluation is to stay a small part of the time. */
const evaluation = ['--test-limit', '5000', '--baseline'];

// The path holds from dist/tools, where the compiled file lies.
const executable = fileURLToPath(new URL('../../bin/slimclr.js', import.meta.url));

const fresh = process.argv.includes('--fresh');
if (fresh) rmSync(run, { recursive: true, force: true });
const resume = existsSync(join(run, 'checkpoints'));

const commands = [
  ['data', 'fetch', 'cifar10'],
  [
    'pretrain',
    ...['--preset', 'cifar10-resnet20'],
    ...settings.flatMap((assignment) => ['--set', assignment]),
    ...['--output', run],
    ...(resume ? ['--resume'] : []),
  ],
  ['knn', run, ...evaluation],
  ['probe', run, ...evaluation],
  ['export', run, '--classifier'],
  ['report', run],
];

// Ctrl-C reaches the command that runs as well; it is the one to say how a run goes on.
process.on('SIGINT', () => {});

const start = performance.now();
for (const command of commands) {
  console.log(`\n$ slimclr ${command.join(' ')}`);
  const { status } = spawnSync(process.execPath, [executable, ...command], { stdio: 'inherit' });
  if (status !== 0) {
    const hint = resume ? '; --fresh starts over' : '';
    console.error(`quickstart: stopped; run again it goes on${hint}`);
    process.exit(status ?? 1);
  }
}
console.log(`\nquickstart: ${formatDuration((performance.now() - start) / 1000)}`);
