import { basename, resolve } from 'node:path';
import { modelPaths } from '../config/methods.js';
import type { Config } from '../config/schema.js';
import { datasetNames } from './dataset.js';
import { foreignSource } from './shards/shardNames.js';

/**
 * A folder of images as an absolute path, which means the same in any working directory; the name of a data set, and
 * what is going to be refused, as it is.
 */
export function absoluteSource(source: string): string {
  return datasetNames.includes(source) || foreignSource(source) !== null ? source : resolve(source);
}

/** The path of an interpreter as an absolute one; a name, which is looked for in PATH, as it is. */
function absoluteProgram(program: string): string {
  return basename(program) === program ? program : resolve(program);
}

/**
 * The config as a run keeps it: with absolute paths of image folders, of labels, of a method's models, of initial weights, of an
 * interpreter and of a library, which mean the same in any working directory.
 */
export function withAbsolutePaths(config: Config): Config {
  const { data, init, method, monitor, runtime } = config;
  return {
    ...config,
    data: {
      ...data,
      source: absoluteSource(data.source),
      labels: data.labels === '' ? '' : resolve(data.labels),
    },
    init: { ...init, file: init.file === '' ? '' : resolve(init.file) },
    method: {
      ...method,
      ...Object.fromEntries(modelPaths(method).map(([key, path]) => [key, resolve(path)])),
    },
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
