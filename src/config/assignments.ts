import { UsageError } from '../errors.js';
import { leaves } from './format.js';
import { isRecord, type ConfigKeys } from './layers.js';
import { nodesAt } from './schemaNode.js';

/**
 * The keys that assignments `key.sub=value` set, whatever their order. A value is JSON or else a string; for a key that
 * holds a string it is the text as it stands, so that a folder may be called 2024.
 * Throws a UsageError for two assignments that give a key different values: one of them would have no effect.
 */
export function readAssignments(texts: readonly string[]): ConfigKeys {
  const given: { readonly key: string; readonly value: unknown; readonly text: string }[] = [];
  let layer: ConfigKeys = {};
  for (const text of texts) {
    const assigned = readAssignment(text);
    for (const [key, value] of leaves(assigned)) {
      const before = given.find((other) => excludes(other, { key, value }));
      if (before !== undefined) {
        throw new UsageError(
          `config: the assignment "${before.text}" has no effect before "${text}"; accepted: one value for ${key}`,
        );
      }
      given.push({ key, value, text });
    }
    layer = joined(layer, assigned);
  }
  return layer;
}

/** `key.sub=value` as `{ key: { sub: value } }`. */
function readAssignment(text: string): ConfigKeys {
  const equals = text.indexOf('=');
  const keys = text.slice(0, Math.max(equals, 0)).split('.');
  if (keys.includes('')) {
    throw new UsageError(
      `config: cannot read the assignment "${text}"; accepted: key=value or key.sub=value`,
    );
  }
  const value = readValue(text.slice(equals + 1), keys);
  return keys.reduceRight<unknown>((child, key) => ({ [key]: child }), value) as ConfigKeys;
}

function readValue(text: string, keys: readonly string[]): unknown {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return text;
  }
  const isText = nodesAt(keys).some(({ type, enum: choices }) => type === 'string' && !choices);
  return isText && typeof value !== 'string' ? text : value;
}

/** Whether a config cannot hold both values: of one key, or of a key and of one inside it. */
function excludes(a: { key: string; value: unknown }, b: { key: string; value: unknown }): boolean {
  if (a.key === b.key) return JSON.stringify(a.value) !== JSON.stringify(b.value);
  return a.key.startsWith(`${b.key}.`) || b.key.startsWith(`${a.key}.`);
}

function joined(a: ConfigKeys, b: ConfigKeys): ConfigKeys {
  const keys = new Map(Object.entries(a));
  for (const [key, value] of Object.entries(b)) {
    const before = keys.get(key);
    keys.set(key, isRecord(before) && isRecord(value) ? joined(before, value) : value);
  }
  return Object.fromEntries(keys);
}
