import { expect } from 'chai';
import { fork } from 'node:child_process';
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

  it('a process that was started without the settings keeps an arena a session', () => {
    expect(sharesFreedMemory()).to.equal(false);
  });
});
