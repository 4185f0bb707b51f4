import { expect } from 'chai';
import { execFileSync, fork } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { memoryEnvironment, sharesFreedMemory } from '../../src/engines/memoryEnvironment.js';

describe('memory of several sessions', () => {
  /** Peak memory of three sessions that run in turns, MiB. */
  async function peak(env: NodeJS.ProcessEnv): Promise<number> {
    const messages = await once(fork(join(import.meta.dirname, 'memoryChild.js'), { env }), 'message');
    return messages[0] as number;
  }

  it('glibc told to keep freed memory: three sessions of two tensors of 64 MiB hold two, not six', async function () {
    if (process.platform !== 'linux') return this.skip();
    const [separate, shared] = [
      await peak(process.env),
      await peak({ ...process.env, ...memoryEnvironment }),
    ];
    expect(separate - shared, `${separate} and ${shared} MiB`).to.be.greaterThan(4 * 64 - 16);
  });

  it("Node.js told to keep V8's young generation small: 3 MiB, whatever survives in it", () => {
    const grow = 'let kept; for (let i = 0; i < 10; i++) kept = Array.from({ length: 1e5 }, () => ({}));';
    const size = "v8.getHeapSpaceStatistics().find((s) => s.space_name === 'new_space').space_size";
    const young = (env: NodeJS.ProcessEnv) =>
      Number(execFileSync(process.execPath, ['-e', `${grow} console.log(${size})`], { env })) / 2 ** 20;
    const { GLIBC_TUNABLES: _, ...told } = memoryEnvironment;
    expect(young({ ...process.env, NODE_OPTIONS: '' })).to.be.greaterThan(8);
    expect(young({ ...process.env, ...told })).to.be.at.most(3);
  });

  it('a process that was started without the settings keeps an arena a session', () => {
    expect(sharesFreedMemory()).to.equal(false);
  });
});
