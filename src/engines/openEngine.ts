import type { Engine } from './engine.js';
import type { EngineOptions } from './engineOptions.js';
import { InProcessEngine } from './inProcessEngine.js';
import { PythonEngine } from './python/pythonEngine.js';

/** The engine that a config asks for. Throws a SlimclrError, in one line, where it cannot be had here. */
export function openEngine(options: EngineOptions): Promise<Engine> {
  return options.engine === 'python' ? PythonEngine.open(options) : InProcessEngine.open(options);
}
