import { expect } from 'chai';
import { fileURLToPath } from 'node:url';
import { launch, launcherNames, launcherOf } from '../support/launchers.js';

const lateRank = fileURLToPath(new URL('./lateRank.js', import.meta.url));

describe('ranks that others wait for', function () {
  this.timeout(120_000);

  for (const name of launcherNames) {
    it(`${name}: one that stops is named by another, and rank 0 that says that it is busy is waited for`, async function () {
      const launcher = launcherOf(name);
      if (process.platform !== 'linux' || !launcher) return this.skip();
      const found = async (moment: string, rank: number) => {
        const environment = ['env', `LATE_MOMENT=${moment}`, `LATE_RANK=${rank}`];
        const { stdout } = await launch(launcher, 3, ...environment, process.execPath, lateRank).exited;
        return stdout.split('\n')[0];
      };
      const [last, first, moving, busy] = await Promise.all([
        found('meeting', 2),
        found('meeting', 0),
        found('sum', 0),
        found('busy', 0),
      ]);
      const missing = 'missing for 1 s (runtime.stepTimeout), hanging or out of reach';
      expect(last).to.equal(`from rank 0: rank 2: ${missing}`);
      expect(first).to.equal(`from rank 1: rank 0: ${missing}`);
      // Which of the two is the first to see that is chance.
      expect(moving).to.match(/^from rank [12]: (data has been on its way .*|rank 0: missing )/);
      expect(busy).to.equal('all came');
    });
  }
});
