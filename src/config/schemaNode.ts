import { z } from 'zod';
import { configSchema } from './schema.js';

/** The part of JSON Schema that the config's schema uses. */
export interface SchemaNode {
  /** Of a value of several types, all of them. */
  readonly type?: string | readonly string[];
  /** What is accepted, in words, where types do not tell. */
  readonly description?: string;
  readonly enum?: readonly unknown[];
  readonly const?: unknown;
  readonly default?: unknown;
  /** Unions told apart by `kind`. */
  readonly oneOf?: readonly SchemaNode[];
  /** Unions of a value and a list of such values. */
  readonly anyOf?: readonly SchemaNode[];
  readonly properties?: Readonly<Record<string, SchemaNode>>;
  readonly items?: SchemaNode | false;
  readonly prefixItems?: readonly SchemaNode[];
  readonly minLength?: number;
  readonly minimum?: number;
  readonly exclusiveMinimum?: number;
  readonly maximum?: number;
  readonly exclusiveMaximum?: number;
}

/** The schema of the whole config. */
export const rootNode = z.toJSONSchema(configSchema, { io: 'input' }) as SchemaNode;

/** The kind that a branch of a union stands for. */
export function kindOf(branch: SchemaNode): unknown {
  return branch.properties?.['kind']?.const;
}

/** The schemas that a value at `path` may have: one, or one for each kind of the unions on the way that has the key. */
export function nodesAt(path: readonly string[]): SchemaNode[] {
  return path.reduce<SchemaNode[]>(
    (nodes, key) =>
      nodes
        .flatMap((node) => node.oneOf ?? [node])
        .filter(({ properties }) => Object.hasOwn(properties ?? {}, key))
        .map(({ properties }) => properties![key]!),
    [rootNode],
  );
}
