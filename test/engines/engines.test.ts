import { openEngine } from '../../src/engines/openEngine.js';
import { stockPython, trainingPython } from '../support/pythons.js';
import { noWebGpu } from '../support/webGpu.js';
import { engineSuite } from './suite.js';

engineSuite({
  title: 'in process, cpu',
  absent: () => Promise.resolve(null),
  open: () => openEngine({ provider: 'cpu', threads: 1 }),
});

const library = process.env['SLIMCLR_LIBRARY'] ?? '';

engineSuite({
  title: 'in process, cpu, of the library SLIMCLR_LIBRARY',
  absent: () => Promise.resolve(library === '' ? 'it names none' : null),
  open: () => openEngine({ provider: 'cpu', threads: 1, library }),
});

for (const [title, find] of [
  ['python, cpu', stockPython],
  ['python of onnxruntime-training, cpu', trainingPython],
] as const) {
  const { python, missing } = find();
  engineSuite({
    title: `${title}${missing}`,
    absent: () => Promise.resolve(missing || null),
    open: () => openEngine({ engine: 'python', python, provider: 'cpu', threads: 1 }),
  });
}

engineSuite({
  title: 'in process, webgpu',
  absent: noWebGpu,
  open: () => openEngine({ provider: 'webgpu', threads: 1 }),
});
