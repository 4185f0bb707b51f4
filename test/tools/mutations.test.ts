import { expect } from 'chai';
import { makeSubject, type Subject } from '../../tools/mutations/subject.js';
import { trials } from '../../tools/mutations/trial.js';
import { removeFolder } from '../support/removeFolder.js';

describe('a run folder with one file changed', function () {
  this.timeout(240_000);
  let subject: Subject;
  before(async () => (subject = await makeSubject()));
  after(() => removeFolder(subject.root));

  it('every reader works or says in one line what is wrong, and touches nothing else', async () => {
    let [works, refused] = [0, 0];
    for await (const { what, defect, message } of trials(subject, { seed: 1, count: 44, quick: true })) {
      expect(defect, what).to.equal(undefined);
      if (message === undefined) works += 1;
      else refused += 1;
    }
    expect(works).to.be.above(5);
    expect(refused).to.be.above(12);
  });
});
