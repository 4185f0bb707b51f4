import { expect } from 'chai';
import { openEngine } from '../../src/engines/openEngine.js';
import { rejection } from '../support/rejection.js';
import { noWebGpu } from '../support/webGpu.js';

describe('engine in process, on a WebGPU device', () => {
  before(async function () {
    const reason = await noWebGpu();
    if (reason === null) return;
    this.test!.parent!.title += ` (not here: ${reason})`;
    this.skip();
  });

  it('more memory than the device gives, which it does not tell: one line, and the engine goes on', async () => {
    const engine = await openEngine({ provider: 'webgpu', threads: 1 });
    const memory = engine.allocate('float32', 2 ** 40);
    const error = await rejection(engine.read(memory, 0, 4));
    expect(error.message).to.match(/^no memory on the device for float32\[1099511627776\], \d+ bytes$/);
    const small = engine.allocate('float32', 4);
    await engine.write(small, Float32Array.of(1, 2, 3, 4));
    expect((await engine.read(small)).join()).to.equal('1,2,3,4');
    await engine.close();
  });
});
