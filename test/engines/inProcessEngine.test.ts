import { expect } from 'chai';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import { openEngine } from '../../src/engines/openEngine.js';

const sharingWorker = join(import.meta.dirname, 'sharingWorker.js');
const open = () => openEngine({ provider: 'cpu', threads: 1 });

describe('engine in process', () => {
  it('its memory is aligned: to 64 bytes, of pages to a page', async () => {
    const engine = await open();
    for (const [count, alignment] of [
      [1, 64n],
      [100, 64n],
      [1024, 4096n],
      [100_003, 4096n],
    ] as const) {
      const { address } = engine.share!(engine.allocate('float32', count));
      expect(address % alignment, `${count} floats`).to.equal(0n);
    }
    await engine.close();
  });

  it('memory that it shares is the same in the engine of another thread', async () => {
    const engine = await open();
    const memory = engine.allocate('float32', 1000);
    await engine.write(
      memory,
      Float32Array.from({ length: 1000 }, (_, i) => i),
    );
    const worker = new Worker(sharingWorker, { workerData: { shared: engine.share!(memory), stays: false } });
    expect(await once(worker, 'exit')).to.deep.equal([0]);
    expect((await engine.read(memory, 0, 3)).join()).to.equal('10,12,14');
    expect((await engine.read(memory, 999)).join()).to.equal('2008');
    await engine.close();
  });

  it('a thread that is ended while it runs graphs, of a process that has no other engine: the process goes on', async () => {
    const script = `
      const { Worker } = require('node:worker_threads');
      const memory = new Float32Array(1 << 16);
      const koffi = require('koffi');
      const worker = new Worker(process.argv[1], { workerData: {
        stays: true, shared: { type: 'float32', count: memory.length, address: koffi.address(memory) },
      } });
      worker.on('message', async () => {
        await worker.terminate();
        setTimeout(() => console.log('ended', memory.length), 200);
      });`;
    const child = spawn(process.execPath, ['-e', script, sharingWorker], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    let output = '';
    child.stdout.on('data', (chunk: Buffer) => (output += chunk.toString()));
    expect(await once(child, 'close')).to.deep.equal([0, null]);
    expect(output).to.equal('ended 65536\n');
  });

  it('closed or freed, it gives memory back', async () => {
    const before = process.memoryUsage().rss;
    for (let round = 0; round < 8; round++) {
      const engine = await open();
      engine.allocate('float32', 2 ** 24);
      engine.free(engine.allocate('float32', 2 ** 24));
      await engine.close();
    }
    expect((process.memoryUsage().rss - before) / 2 ** 20, 'MiB').to.be.lessThan(256);
  });

  it('more memory than there is: one line', async () => {
    const engine = await open();
    expect(() => engine.allocate('float32', 2 ** 44)).to.throw(
      /^no memory for float32\[17592186044416\], \d+ bytes$/,
    );
    await engine.close();
  });
});
