import { expect } from 'chai';
import { probeBlockedKernels } from '../../../src/engines/nchwcProbe.js';
import { sweepCases } from '../../../tools/sweep/cases.js';
import { guardProblem, type SweepCase } from '../../../tools/sweep/sweepCase.js';
import { sweep } from '../../../tools/sweep/sweep.js';

/** A part of what `npm run sweep` runs in full, on the block size of this machine. */
describe('guard against the kernels themselves, in child processes', function () {
  this.timeout(60_000);
  let block: 8 | 16;
  let plainGroups: boolean;

  before(async function () {
    const probed = await probeBlockedKernels({ provider: 'cpu' });
    if ('reason' in probed) this.skip();
    ({ blockSize: block, plainGroups } = probed);
  });

  it('what it allows equals the standard operators and touches nothing else', async () => {
    // A prime, so that no loop of the cases is skipped in step.
    const cases = every(13, allowed(true));
    const wrong = failures(cases, await sweep(cases, { block, threads: 2 }));
    expect(cases).to.have.length.above(400);
    expect(wrong).to.deep.equal([]);
  });

  it('what it refuses fails, gives wrong numbers or writes outside its result', async () => {
    const cases = every(101, allowed(false));
    const wrong = failures(cases, await sweep(cases, { block, threads: 2 }));
    expect(cases).to.have.length.above(100);
    expect(wrong).to.have.length(cases.length);
  });

  it('a case that ends its process is named, and the others are run', async () => {
    const [right] = allowed(true);
    const fatal = { ...right!, batch: -1 };
    const problems = await sweep([right!, fatal, right!], { block, threads: 1 });
    expect(problems).to.deep.equal([null, 'ended the process (code 1)', null]);
  });

  function allowed(expected: boolean): SweepCase[] {
    return [...sweepCases(block)].filter(
      (one) => (guardProblem(one, { block, plainGroups }) === null) === expected,
    );
  }
});

function every<T>(step: number, items: readonly T[]): T[] {
  return items.filter((_, i) => i % step === 0);
}

function failures(cases: readonly SweepCase[], problems: readonly (string | null)[]): string[] {
  return cases.flatMap((one, i) => (problems[i] === null ? [] : [`${problems[i]}: ${JSON.stringify(one)}`]));
}
