import { expect } from 'chai';
import { afterMinutes } from '../../src/training/timeLimit.js';

describe('afterMinutes', () => {
  it('is over in time, not before; months, which no timer takes, are not over at once; called off: never', async () => {
    const over: string[] = [];
    const began = performance.now();
    const months = afterMinutes(100 * 24 * 60, () => over.push('months'));
    afterMinutes(0.0005, () => over.push('called off'))();
    await new Promise<void>((resolve) => afterMinutes(0.001, resolve));
    expect(performance.now() - began).to.be.at.least(60);
    months();
    expect(over).to.deep.equal([]);
  });
});
