import { basename, resolve } from 'node:path';
import type { Config } from '../config/schema.js';
import { datasetNames } from './dataset.js';

/** A folder of images as an absolute path, which means the same in any working directory; the name of a data set as it is. */
export function absoluteSource(source: string): string {
  return datasetNames.includes(source) ? source : resolve(source);
}

/** The path of an interpreter as an absolute one; a name, which is looked for in PATH, as it is. */
function absoluteProgram(program: string): string {
  return basename(program) === program ? program : resolve(program);
}

/**
 * The config as a run keeps it: with absolute paths of image folders, of a SEED teacher, of an interpreter and of
 * a library, which mean the same in any working directory.
 */
export function withAbsolutePaths(config: Config): Config {
  const { data, method, monitor, runtime } = config;
  return {
    ...config,
    data: { ...data, source: absoluteSource(data.source) },
    ...(method.kind === 'seed' && { method: { ...method, teacher: resolve(method.teacher) } }),
    runtime: {
      ...runtime,
      python: absoluteProgram(runtime.python),
      library: runtime.library === '' ? '' : resolve(runtime.library),
    },
    // An empty one means that of `data`.
    ...(monitor.kind === 'knn' &&
      monitor.source !== '' && { monitor: { ...monitor, source: absoluteSource(monitor.source) } }),
  };
}
