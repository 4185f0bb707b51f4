import type { SweepCase } from './sweepCase.js';
import { KernelTrial, type BlockSize } from './trial.js';

/*
 * The child process of sweep.ts: runs cases in order and sends the problem of each (null: none). The next one
 * starts when the message is out, so that the first without an answer is the one that ended the process.
 */

export interface Task {
  readonly cases: readonly SweepCase[];
  readonly block: BlockSize;
  readonly threads: number;
}

process.once('message', (task: Task) => {
  void run(task).then(() => process.disconnect());
});

async function run({ cases, block, threads }: Task): Promise<void> {
  const trial = new KernelTrial(block, threads);
  for (const one of cases) {
    const problem = await trial.problem(one);
    await new Promise((resolve) => process.send!(problem, resolve));
  }
  await trial.close();
}
