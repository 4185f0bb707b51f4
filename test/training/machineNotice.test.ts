import { expect } from 'chai';
import { configSchema, type ConfigInput } from '../../src/config/schema.js';
import { machineNotice } from '../../src/training/resume.js';

const config = (runtime: ConfigInput['runtime'], input: ConfigInput = {}) =>
  configSchema.parse({ accumulation: 4, ...input, runtime });

describe('a run that goes on with other threads or replicas', () => {
  const differ =
    'from here on the numbers differ in their last bits from those of a run that was not interrupted';

  it('says what differs and how much', () => {
    expect(machineNotice(config({ replicas: 2 }), config({ replicas: 2 }))).to.equal(undefined);
    expect(machineNotice(config({ replicas: 2 }), config({ replicas: 4 }))).to.equal(
      `runtime.replicas is 4, 2 at the checkpoint: ${differ}`,
    );
    expect(machineNotice(config({ threads: 2, replicas: 4 }), config({ threads: 1, replicas: 2 }))).to.equal(
      `runtime.threads is 1, 2 at the checkpoint, runtime.replicas is 2, 4 at the checkpoint: ${differ}`,
    );
  });

  it('says so where keys are shuffled from here on, or no longer', () => {
    const [one, two] = [config({ replicas: 1 }), config({ replicas: 2 })];
    expect(machineNotice(one, two)).to.match(/, and keys are shuffled \(method\.shuffleKeys\)$/);
    expect(machineNotice(two, one)).to.match(/, and keys are shuffled no longer \(method\.shuffleKeys\)$/);
    const method = { kind: 'moco-v2', shuffleKeys: 'on' } as const;
    const always = ([1, 2] as const).map((replicas) => config({ replicas }, { method }));
    expect(machineNotice(always[0]!, always[1]!)).to.match(/not interrupted$/);
  });
});
