import { z } from 'zod';
import { isRecord } from './layers.js';
import { configSchema } from './schema.js';

/**
 * Assignments of keys that have come since a run recorded its config, which was complete then, where the default is not
 * what the run was begun with.
 */
export function assignmentsSince(recorded: unknown): string[] {
  if (!isRecord(recorded)) return [];
  const { method, runtime } = recorded;
  if (!isRecord(method) || method['kind'] !== 'moco-v2' || 'shuffleKeys' in method) return [];
  const several = isRecord(runtime) && Number(runtime['replicas'] ?? 1) > 1;
  return several ? ['method.shuffleKeys=off'] : [];
}

/** What a run of this or an earlier version has recorded as its complete config, with the keys that have come since. */
export function withKeysSince(recorded: unknown): unknown {
  if (assignmentsSince(recorded).length === 0) return recorded;
  const { method, ...rest } = recorded as { readonly method: object };
  return { ...rest, method: { ...method, shuffleKeys: 'off' } };
}

/** A complete config as a run of this or an earlier version has recorded it. */
export const recordedConfigSchema = z.preprocess(withKeysSince, configSchema);
