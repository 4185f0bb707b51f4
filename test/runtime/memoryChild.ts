import { readFileSync } from 'node:fs';
import { Graph } from '../../src/graph/graph.js';
import { encodeModel } from '../../src/onnx/model.js';
import { Builder } from '../../src/ops/builder.js';
import { scalarTensor, Session } from '../../src/runtime/session.js';
import { emit } from '../../src/targets/emit.js';
import { lower } from '../../src/targets/lower.js';
import { portable } from '../../src/targets/portable.js';

/*
 * The child process of memory.test.ts: runs three sessions in turns, each of which needs at least 64 MiB while
 * it runs, and sends the largest memory that the process ever had, in MiB.
 */

const elements = 2 ** 24;

/** Mean of |shift| repeated, by way of tensors of 64 MiB. */
async function openSession(name: string): Promise<Session> {
  const graph = new Graph(name);
  const b = new Builder(graph);
  const shift = graph.input('shift', { dtype: 'float32', shape: [] });
  const long = b.op('Expand', [shift], { shape: [elements] });
  graph.output('mean', b.op('ReduceMean', [b.op('Abs', [long])], { keepdims: false }));
  const bytes = encodeModel(emit(lower(graph, portable), { opset: portable.opset, version: 'test' }));
  const entry = {
    name,
    kind: 'update',
    file: '',
    sha256: '',
    flops: 0,
    parameters: 0,
    inputs: [],
    outputs: [],
  } as const;
  return Session.of(entry, bytes, { provider: 'cpu', threads: 1 });
}

const sessions = await Promise.all(['a', 'b', 'c'].map(openSession));
for (let step = 0; step < 3; step++) {
  for (const session of sessions) await session.run({ shift: scalarTensor(step) });
}
const peak = /^VmHWM:\s*(\d+) kB/m.exec(readFileSync('/proc/self/status', 'utf8'))!;
process.send!(Number(peak[1]) / 1024);
