import { parentPort, workerData } from 'node:worker_threads';
import type { SharedMemory } from '../../src/engines/engine.js';
import { openEngine } from '../../src/engines/openEngine.js';
import { affine } from './models.js';

/*
 * A worker thread of inProcessEngine.test.ts: opens the memory that it is told of and takes each element x to 2 x + 10,
 * in place; then says so and, where `stays`, runs on until it is ended.
 */

const { shared, stays } = workerData as { shared: SharedMemory<'float32'>; stays: boolean };
const engine = await openEngine({ provider: 'cpu', threads: 2 });
const graph = await engine.load(affine, { name: 'affine' });
const x = { memory: engine.openShared!(shared), offset: 0, shape: [shared.count] };
const factor = { memory: engine.allocate('float32', 1), offset: 0, shape: [] };
await engine.write(factor.memory, Float32Array.of(2));
const binding = engine.bind(graph, { x, factor }, { y: x });
await engine.run(binding);
parentPort!.postMessage('done');
if (stays) for (;;) await engine.run(binding);
await engine.close();
