import { openEngine } from '../../src/engines/openEngine.js';
import type { Memory } from '../../src/engines/engine.js';
import { model } from './models.js';

/*
 * The child process of pythonFailures.test.ts: has a worker busy for minutes and says so. Its argument is the Python.
 */

const engine = await openEngine({ engine: 'python', python: process.argv[2]!, provider: 'cpu', threads: 1 });
const square = model({
  inputs: { x: ['N', 'N'] },
  outputs: { y: ['N', 'N'] },
  nodes: [['MatMul', ['x', 'x'], ['y']]],
});
const graph = await engine.load(square, { name: 'square' });
const size = 1500;
const place = (memory: Memory) => ({ memory, offset: 0, shape: [size, size] });
const [x, y] = [engine.allocate('float32', size ** 2), engine.allocate('float32', size ** 2)].map(place);
const binding = engine.bind(graph, { x: x! }, { y: y! });
await engine.run(binding);
const busy = engine.run(...Array<typeof binding>(20_000).fill(binding));
process.send!('busy');
await busy;
