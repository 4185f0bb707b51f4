import { expect } from 'chai';
import { shufflesKeys } from '../../src/config/methods.js';
import { assignmentsSince, recordedConfigSchema } from '../../src/config/recorded.js';
import { configSchema } from '../../src/config/schema.js';
import { eventSchema } from '../../src/training/events.js';

/** As a version without the key has recorded it. */
function before(input: Parameters<typeof configSchema.parse>[0]) {
  const { method, ...rest } = configSchema.parse(input);
  const { shuffleKeys: _, ...kept } = method as { readonly shuffleKeys?: unknown };
  return { ...rest, method: kept };
}

describe('recorded configs', () => {
  it('of several replicas before method.shuffleKeys: the keys stay as they were', () => {
    const recorded = before({ accumulation: 4, runtime: { replicas: 2 } });
    expect(assignmentsSince(recorded)).to.deep.equal(['method.shuffleKeys=off']);
    const { method, ...rest } = recordedConfigSchema.parse(recorded);
    expect(shufflesKeys(method, 2)).to.equal(false);
    expect({ ...rest, method: { ...method, shuffleKeys: 'auto' } }).to.deep.equal(configSchema.parse(recorded)); // prettier-ignore
    expect(shufflesKeys(configSchema.parse(recorded).method, 2)).to.equal(true);
    const start = { ...{ time: '2026-01-01T00:00:00Z', type: 'start', version: '0.1.0', labels: ['w1.00'] } };
    const event = eventSchema.parse({ ...start, config: recorded, images: 8, stepsPerEpoch: 1, step: 0 });
    expect(event).to.deep.include({ config: recordedConfigSchema.parse(recorded) });
  });

  it('of one replica, of other methods and of this version: as they are', () => {
    const now = configSchema.parse({ accumulation: 4, runtime: { replicas: 2 } });
    for (const recorded of [
      before({}),
      before({ method: { kind: 'simclr' }, runtime: { replicas: 2 } }),
      now,
    ]) {
      expect(assignmentsSince(recorded)).to.deep.equal([]);
      expect(recordedConfigSchema.parse(recorded)).to.deep.equal(configSchema.parse(recorded));
    }
    expect(recordedConfigSchema.safeParse('no config').success).to.equal(false);
  });
});
