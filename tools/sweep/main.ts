/**
 * The blocked kernels against the standard operators: `npm run sweep` runs what the guard allows, `npm run sweep
 * -- --all` also what it refuses, each case in a child process that it may end; images are noise and flat in turn, with
 * `--images noise` or `--images flat` all of one kind. Exit code 1 when a case that is allowed is wrong.
 * `npm run sweep -- configs` compares random configs instead (sweepConfigs.ts).
 */
import { availableParallelism } from 'node:os';
import { probeBlockedKernels } from '../../src/engines/nchwcProbe.js';
import { imageKinds } from '../reference/inputs.js';
import { sweepCases } from './cases.js';
import { guardProblem, type SweepCase } from './sweepCase.js';
import { sweep } from './sweep.js';
import { sweepConfigs } from './sweepConfigs.js';

if (process.argv[2] === 'configs') {
  await sweepConfigs(process.argv.slice(3));
  process.exit();
}

const all = process.argv.includes('--all');
const images = imageKinds.find((kind) => process.argv.includes(kind));
const probed = await probeBlockedKernels({ provider: 'cpu' });
if ('reason' in probed) throw new Error(probed.reason);
const { blockSize: block, plainGroups } = probed;
const rules = { block, plainGroups };
const allowed: SweepCase[] = [];
const refused: SweepCase[] = [];
for (const one of sweepCases(block, images))
  (guardProblem(one, rules) === null ? allowed : refused).push(one);
console.log(`blocks of ${block} channels: ${allowed.length} cases allowed, ${refused.length} refused`);

const wrong = (await run(allowed)).filter(({ problem }) => problem !== null);
for (const { one, problem } of wrong) console.log(`allowed, but ${problem}: ${JSON.stringify(one)}`);
console.log(`allowed: ${allowed.length - wrong.length} right, ${wrong.length} wrong`);
if (all) {
  const counts = new Map<string, number>();
  for (const { one, problem } of await run(refused)) {
    const reason = guardProblem(one, rules)!.replaceAll(/\d+/g, '#');
    const key = `refused (${reason}): ${one.op} ${problem?.replaceAll(/\d+/g, '#') ?? 'right'}`;
    counts.set(key, (counts.get(key) ?? 0) + 1);
  }
  for (const [key, count] of [...counts].sort()) console.log(`${String(count).padStart(6)}  ${key}`);
}
process.exitCode = wrong.length > 0 ? 1 : 0;

async function run(cases: readonly SweepCase[]) {
  const options = { block, threads: availableParallelism() };
  const problems = await sweep(cases, options, (done) => {
    if (done % 5000 === 0) console.error(`${done} of ${cases.length}`);
  });
  return cases.map((one, i) => ({ one, problem: problems[i]! }));
}
