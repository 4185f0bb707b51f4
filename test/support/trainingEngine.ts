import type { Engine } from '../../src/engines/engine.js';
import { openEngine } from '../../src/engines/openEngine.js';
import { trainingPython } from './pythons.js';

let opened: Promise<Engine> | undefined;

/** The onnxruntime-training of this machine, one thread, CPU: one worker for all tests of this process. */
export function trainingEngine(): Promise<Engine> {
  const { python } = trainingPython();
  return (opened ??= openEngine({ engine: 'python', python, provider: 'cpu', threads: 1 }));
}

// Of the root suite: the worker would keep the process alive.
after(async () => {
  const engine = await opened;
  opened = undefined;
  await engine?.close();
});
