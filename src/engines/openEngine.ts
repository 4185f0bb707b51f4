import type { Engine } from './engine.js';
import type { EngineOptions } from './engineOptions.js';
import { InProcessEngine } from './inProcessEngine.js';
import { PythonEngine } from './python/pythonEngine.js';

/** An engine that is open, or what to open one on. */
export type EngineSource = Engine | EngineOptions;

/** The engine that a config asks for. Throws a SlimclrError, in one line, where it cannot be had here. */
export function openEngine(options: EngineOptions): Promise<Engine> {
  return options.engine === 'python' ? PythonEngine.open(options) : InProcessEngine.open(options);
}

/** The engine of a source, and what is to be called after its use: closes the one that was opened for it. */
export async function engineOf(
  on: EngineSource,
): Promise<{ readonly engine: Engine; readonly release: () => Promise<void> }> {
  if ('facts' in on) return { engine: on, release: () => Promise.resolve() };
  const engine = await openEngine(on);
  return { engine, release: () => engine.close() };
}
