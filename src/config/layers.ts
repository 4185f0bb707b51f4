import { rootNode, kindOf, type SchemaNode } from './schemaNode.js';
import { configSchema, type Config } from './schema.js';

/** Keys of a config that somebody has set: any of them may be missing. */
export type ConfigKeys = Readonly<Record<string, unknown>>;

/** What a config is without any key set: the kind of every union. */
export const kinds = kindsIn(configSchema.parse({}), rootNode) as ConfigKeys;

/**
 * The keys of `over` on top of those of `base`, objects key by key, anything else as a whole. Where `over` chooses
 * another kind of a union, the keys of `base` that both kinds have carry over; those that only the old kind has go.
 */
export function layered(base: ConfigKeys, over: ConfigKeys): ConfigKeys {
  return merge(base, over, rootNode) as ConfigKeys;
}

/**
 * The keys of a complete config that were set, as far as one can tell: of a union, its kind and what differs from the
 * defaults of that kind, so that another kind on top of it starts from its own.
 */
export function setKeys(config: Config): ConfigKeys {
  return withoutDefaults(config, rootNode) as ConfigKeys;
}

function merge(base: unknown, over: unknown, node: SchemaNode | undefined): unknown {
  if (!isRecord(base) || !isRecord(over)) return over;
  const kind = 'kind' in over ? over['kind'] : base['kind'];
  const branch = branchOf(node, kind);
  // What no kind has stays, for the schema to refuse it.
  const stays = (key: string) =>
    kind === base['kind'] || has(branch, key) || !node?.oneOf?.some((other) => has(other, key));
  const merged = new Map(Object.entries(base).filter(([key]) => stays(key)));
  for (const [key, value] of Object.entries(over)) {
    merged.set(key, merge(merged.get(key), value, branch?.properties?.[key]));
  }
  return Object.fromEntries(merged);
}

function withoutDefaults(value: unknown, node: SchemaNode | undefined): unknown {
  if (!isRecord(value)) return value;
  const branch = branchOf(node, value['kind']);
  return Object.fromEntries(
    Object.entries(value)
      .map(([key, child]) => [key, child, branch?.properties?.[key]] as const)
      .filter(([, child, schema]) => !node?.oneOf || !same(child, schema?.default))
      .map(([key, child, schema]) => [key, withoutDefaults(child, schema)]),
  );
}

function kindsIn(defaults: unknown, node: SchemaNode | undefined): unknown {
  const { kind, ...others } = defaults as ConfigKeys;
  return Object.fromEntries([
    ...(node?.oneOf ? [['kind', kind] as const] : []),
    ...Object.entries(others)
      .filter(([, child]) => isRecord(child))
      .map(([key, child]) => [key, kindsIn(child, branchOf(node, kind)?.properties?.[key])] as const),
  ]);
}

function branchOf(node: SchemaNode | undefined, kind: unknown): SchemaNode | undefined {
  return node?.oneOf ? node.oneOf.find((branch) => kindOf(branch) === kind) : node;
}

function has(node: SchemaNode | undefined, key: string): boolean {
  return Object.hasOwn(node?.properties ?? {}, key);
}

function same(a: unknown, b: unknown): boolean {
  return JSON.stringify(a) === JSON.stringify(b);
}

export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
