import { resolve } from 'node:path';
import type { Config } from '../config/schema.js';
import { datasetNames } from './dataset.js';

/** A folder of images as an absolute path, which means the same in any working directory; the name of a data set as it is. */
export function absoluteSource(source: string): string {
  return datasetNames.includes(source) ? source : resolve(source);
}

/**
 * The config as a run keeps it: with absolute paths of image folders and of a SEED teacher, which mean the same in any
 * working directory.
 */
export function withAbsolutePaths(config: Config): Config {
  const { data, method, monitor } = config;
  return {
    ...config,
    data: { ...data, source: absoluteSource(data.source) },
    ...(method.kind === 'seed' && { method: { ...method, teacher: resolve(method.teacher) } }),
    // An empty one means that of `data`.
    ...(monitor.kind === 'knn' &&
      monitor.source !== '' && { monitor: { ...monitor, source: absoluteSource(monitor.source) } }),
  };
}
