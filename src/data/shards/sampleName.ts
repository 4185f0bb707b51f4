/** What a file of a shard belongs to. */
export interface SampleName {
  /** Path up to the first dot of the file's name. */
  readonly key: string;
  /** What follows that dot, in lower case. */
  readonly extension: string;
}

/**
 * WebDataset's rule: files whose paths agree up to the first dot of the file's name are one sample. Null for what is
 * part of none: hidden files, those without an extension, and what is in a `__name__` at the top, its metadata.
 */
export function sampleName(path: string): SampleName | null {
  const name = path.lastIndexOf('/') + 1;
  const dot = path.indexOf('.', name);
  if (dot <= name || /^__[^/]*__($|\/)/.test(path)) return null;
  return { key: path.slice(0, dot), extension: path.slice(dot + 1).toLowerCase() };
}
