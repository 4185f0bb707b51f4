import type { z } from 'zod';
import { pathText, valueText } from '../readJson.js';
import { closest } from './closest.js';
import { kindOf, rootNode, type SchemaNode } from './schemaNode.js';

/**
 * What zod found wrong with `input`, one sentence an issue: the key, the value given, what is accepted.
 */
export function describeIssues(input: unknown, issues: readonly z.core.$ZodIssue[]): string[] {
  return issues.flatMap((issue) => {
    const path = issue.path as (string | number)[];
    if (issue.code === 'unrecognized_keys') {
      const level = nodeAt(path, input);
      const kinds = unionAt(path, input).oneOf ?? [];
      return issue.keys.map((key) => otherKinds(path, key, kinds, input) ?? unknownKey(path, key, level));
    }
    const value = valueAt(path, input);
    const subject = path.length === 0 ? 'the config' : pathText(path);
    if (issue.code === 'custom') return `${subject} is ${valueText(value)}; it ${issue.message}`;
    const given = value === undefined ? 'is missing' : `is ${valueText(value)}`;
    return `${subject} ${given}; accepted: ${accepted(nodeAt(path, input))}`;
  });
}

/** What is wrong with a key that only other kinds of a union have, such as a queue of MoCo v3; null for any other. */
function otherKinds(
  path: readonly (string | number)[],
  key: string,
  kinds: readonly SchemaNode[],
  input: unknown,
): string | null {
  const having = kinds.filter(({ properties }) => Object.hasOwn(properties ?? {}, key));
  if (having.length === 0) return null;
  const names = having.map((branch) => JSON.stringify(kindOf(branch))).join(', ');
  const kind = pathText([...path, 'kind']);
  return (
    `${pathText([...path, key])} does not exist for ${kind} ${valueText(valueAt([...path, 'kind'], input))}; ` +
    `it belongs to ${names}`
  );
}

function unknownKey(path: readonly (string | number)[], key: string, level: SchemaNode): string {
  const here = Object.keys(level.properties ?? {});
  const near = closest(key, here);
  // A right key in the wrong place, such as a top-level "queueSize", is worth its full path.
  const guess = near === undefined ? elsewhere(key, rootNode, []) : pathText([...path, near]);
  const hint = guess === undefined ? `accepted: ${here.join(', ')}` : `did you mean "${guess}"?`;
  return `unknown key "${pathText([...path, key])}"; ${hint}`;
}

/** Path of the first key of that name anywhere in the schema. */
function elsewhere(key: string, node: SchemaNode, path: readonly string[]): string | undefined {
  for (const branch of node.oneOf ?? [node]) {
    for (const [name, child] of Object.entries(branch.properties ?? {})) {
      const found = name === key ? pathText([...path, name]) : elsewhere(key, child, [...path, name]);
      if (found !== undefined) return found;
    }
  }
  return undefined;
}

/** The schema of the value at `path`; of a union, the branch that `input`'s `kind` chooses. */
function nodeAt(path: readonly (string | number)[], input: unknown): SchemaNode {
  return branchOf(unionAt(path, input), valueAt(path, input));
}

/** The schema of the value at `path`, a union as a whole. */
function unionAt(path: readonly (string | number)[], input: unknown): SchemaNode {
  const key = path.at(-1);
  if (key === undefined) return rootNode;
  const node = nodeAt(path.slice(0, -1), input);
  return typeof key === 'number' ? itemAt(node, key) : (node.properties?.[key] ?? {});
}

/** The schema of item `index` of a list; of a union, of the branch that is a list. */
function itemAt(node: SchemaNode, index: number): SchemaNode {
  const list = node.anyOf?.find(({ type }) => type === 'array') ?? node;
  return list.prefixItems?.[index] ?? (list.items || {});
}

function branchOf(node: SchemaNode, value: unknown): SchemaNode {
  if (node.oneOf === undefined) return node;
  const kind = valueAt(['kind'], value);
  const kinds = node.oneOf.map(kindOf);
  const undecided: SchemaNode = { type: 'object', properties: { kind: { enum: kinds } } };
  return node.oneOf[kinds.indexOf(kind)] ?? undecided;
}

/** What a schema accepts, in words: `an integer >= 1`, `"cifar", "imagenet"`, `a list of 3, each a number`. */
function accepted(node: SchemaNode): string {
  if (node.description !== undefined) return node.description;
  if (node.anyOf !== undefined) return node.anyOf.map(accepted).join(', or ');
  if (node.enum !== undefined) return node.enum.map((choice) => JSON.stringify(choice)).join(', ');
  if (Array.isArray(node.type)) {
    return (node.type as readonly string[]).map((type) => accepted({ type })).join(', or ');
  }
  switch (node.type) {
    case 'integer':
      return ['an integer', bounds(integerBounds(node))].join(' ').trim();
    case 'number':
      return ['a number', bounds(node)].join(' ').trim();
    case 'boolean':
      return 'true, false';
    case 'string':
      return node.minLength === undefined ? 'a string' : 'a string that is not empty';
    case 'array': {
      const item = itemAt(node, 0);
      const length = node.prefixItems === undefined ? '' : ` of ${node.prefixItems.length}`;
      return `a list${length}, each ${accepted(item).replaceAll(', ', ' or ')}`;
    }
    default:
      return `an object with the keys ${Object.keys(node.properties ?? {}).join(', ')}`;
  }
}

function bounds({ minimum, exclusiveMinimum, maximum, exclusiveMaximum }: SchemaNode): string {
  return Object.entries({ '>=': minimum, '>': exclusiveMinimum, '<=': maximum, '<': exclusiveMaximum })
    .filter(([, limit]) => limit !== undefined)
    .map(([relation, limit]) => `${relation} ${limit}`)
    .join(' and ');
}

/** `> 0` as `>= 1`, and without zod's limit to safe integers. */
function integerBounds(node: SchemaNode): SchemaNode {
  const minimum = node.exclusiveMinimum === undefined ? node.minimum : node.exclusiveMinimum + 1;
  const maximum = node.maximum === Number.MAX_SAFE_INTEGER ? undefined : node.maximum;
  return { ...(minimum !== undefined && { minimum }), ...(maximum !== undefined && { maximum }) };
}

function valueAt(path: readonly (string | number)[], input: unknown): unknown {
  return path.reduce<unknown>(
    (value, key) => (value as Record<string | number, unknown> | null)?.[key],
    input,
  );
}
