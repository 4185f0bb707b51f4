import { counted } from '../counted.js';
import { longestCommonSubsequence } from './alignment.js';
import type { OnnxModel } from './model.js';
import { describeModel, formatNode, parseText } from './text.js';
import type { DescribedItem, DescribedNode, ModelDescription } from './text.js';

/** One thing that differs. `before` or `after` is undefined for what was added or removed. */
export interface Change {
  readonly subject: 'graph' | 'opset' | 'input' | 'output' | 'constant' | 'node';
  /** Of the item; a node has the name of its first output. */
  readonly name: string;
  /** What of the item differs, e.g. `attribute pads`, `type`, `input 1`; empty for the item as a whole. */
  readonly aspect: string;
  readonly before: string | undefined;
  readonly after: string | undefined;
}

/** All lists are empty exactly if the two texts are equal. */
export interface ModelDifference {
  readonly changes: readonly Change[];
  /** Nodes of which only the output type differs, and that because the type of an input does. */
  readonly consequences: readonly Change[];
  /** Names of nodes that do the same at another place of the order. */
  readonly moved: readonly string[];
  /** Old and new names of values that are otherwise the same. */
  readonly renamed: readonly (readonly [string, string])[];
}

/** How model `b` differs from model `a`. */
export function diffModels(a: OnnxModel, b: OnnxModel): ModelDifference {
  return diffDescriptions(describeModel(a), describeModel(b));
}

/** The same on canonical texts (text.ts). Throws a SlimclrError for other text. */
export function diffTexts(a: string, b: string): ModelDifference {
  return diffDescriptions(parseText(a), parseText(b));
}

/** One line a change, each with the prefix `graph: `; the empty string for equal models. */
export function formatDifference(difference: ModelDifference, graph: string): string {
  const { changes, consequences, moved, renamed } = difference;
  const lines = changes.map(formatChange);
  if (consequences.length > 0) {
    lines.push(
      `${counted(consequences.length, 'node')} with other types in consequence, first ${formatChange(consequences[0]!)}`,
    );
  }
  if (moved.length > 0) lines.push(`${counted(moved.length, 'node')} moved, first ${moved[0]}`);
  if (renamed.length > 0) {
    lines.push(`${counted(renamed.length, 'value')} renamed, first ${renamed[0]![0]} -> ${renamed[0]![1]}`);
  }
  return lines.map((line) => `${graph}: ${line}`).join('\n');
}

function formatChange({ subject, name, aspect, before, after }: Change): string {
  const item = name === '' ? subject : `${subject} ${name}`;
  if (aspect !== '') return `${item} changed: ${aspect} ${before ?? '(none)'} -> ${after ?? '(none)'}`;
  if (before === undefined) return `${item} added: ${after}`;
  if (after === undefined) return `${item} removed: ${before}`;
  return `${item} changed: ${before} -> ${after}`;
}

type Pair = readonly [DescribedNode, DescribedNode];

function diffDescriptions(a: ModelDescription, b: ModelDescription): ModelDifference {
  const changes: Change[] = [];
  if (a.graph !== b.graph)
    changes.push({ subject: 'graph', name: '', aspect: 'name', before: a.graph, after: b.graph });
  changes.push(...diffItems('opset', a.opsets, b.opsets));
  changes.push(...diffItems('input', a.inputs, b.inputs));
  changes.push(...diffItems('output', a.outputs, b.outputs));

  const pairs = matchNodes(a.nodes, b.nodes);
  const constants = matchConstants(a.constants, b.constants);
  const renamed = [...constants.renamed, ...pairs.flatMap(renamedOutputs)];
  const newNames = new Map(renamed);
  const matched = new Map(pairs);
  const gone = new Set([
    ...constants.removed,
    ...a.nodes
      .filter((node) => !matched.has(node))
      .flatMap(({ outputs }) => outputs.map(({ name }) => name).filter(isPresent)),
  ]);
  /** What a value of `a` is called in `b`; a name that went may stand for another value there. */
  const translate = (name: string) => (gone.has(name) ? undefined : (newNames.get(name) ?? name));
  changes.push(...constants.changes);

  const oldTypes = valueTypes(a);
  const newTypes = valueTypes(b);
  const typeDiffers = (name: string) => oldTypes.get(name) !== newTypes.get(translate(name) ?? name);
  const consequences: Change[] = [];
  for (const node of a.nodes) {
    const other = matched.get(node);
    if (!other) {
      changes.push({
        subject: 'node',
        name: nameOf(node),
        aspect: '',
        before: formatNode(node),
        after: undefined,
      });
      continue;
    }
    const types = diffTypes(node, other);
    const rest = diffNode(node, other, translate);
    if (rest.length === 0 && node.inputs.some(typeDiffers)) consequences.push(...types);
    else changes.push(...rest, ...types);
  }
  const known = new Set(matched.values());
  for (const node of b.nodes) {
    if (known.has(node)) continue;
    changes.push({
      subject: 'node',
      name: nameOf(node),
      aspect: '',
      before: undefined,
      after: formatNode(node),
    });
  }
  return { changes, consequences, moved: movedNodes(a.nodes, b.nodes, matched), renamed };
}

function diffItems(
  subject: Change['subject'],
  a: readonly DescribedItem[],
  b: readonly DescribedItem[],
): Change[] {
  const before = new Map(a.map((item) => [item.name, item.description]));
  const after = new Map(b.map((item) => [item.name, item.description]));
  const names = [...new Set([...before.keys(), ...after.keys()])];
  const changes = names
    .filter((name) => before.get(name) !== after.get(name))
    .map((name) => ({
      subject,
      name: withoutSign(name),
      aspect: '',
      before: before.get(name),
      after: after.get(name),
    }));
  // The order of inputs and outputs is part of a model's interface.
  const oldOrder = [...before.keys()].filter((name) => after.has(name)).join(', ');
  const newOrder = [...after.keys()].filter((name) => before.has(name)).join(', ');
  if (subject === 'constant' || oldOrder === newOrder) return changes;
  return [...changes, { subject, name: '', aspect: 'order', before: oldOrder, after: newOrder }];
}

/**
 * Which node of `b` is which of `a`: first the longest common subsequence of equal nodes, apart from what
 * they read and from the number at the end of a name, which counts equal names and shifts when one comes
 * or goes; between those, nodes of the same operator and name; then what kept its name; last, what does the same under
 * another one.
 */
function matchNodes(a: readonly DescribedNode[], b: readonly DescribedNode[]): Pair[] {
  const pairs: Pair[] = [];
  const between = (nodes: readonly DescribedNode[], others: readonly DescribedNode[]) => {
    for (const [i, j] of longestCommonSubsequence(nodes.map(looseKey), others.map(looseKey))) {
      pairs.push([nodes[i]!, others[j]!]);
    }
  };
  let start: [number, number] = [0, 0];
  for (const [i, j] of longestCommonSubsequence(a.map(strictKey), b.map(strictKey))) {
    between(a.slice(start[0], i), b.slice(start[1], j));
    pairs.push([a[i]!, b[j]!]);
    start = [i + 1, j + 1];
  }
  between(a.slice(start[0]), b.slice(start[1]));

  const taken = new Map(pairs);
  const takenOthers = new Set(taken.values());
  const leftover = new Map(b.filter((node) => !takenOthers.has(node)).map((node) => [nameOf(node), node]));
  for (const node of a) {
    const other = leftover.get(nameOf(node));
    if (other && !taken.has(node)) pairs.push([node, other]);
  }
  // Another exporter names everything anew.
  const matched = new Map(pairs);
  const others = new Set(matched.values());
  const [went, came] = [a.filter((node) => !matched.has(node)), b.filter((node) => !others.has(node))];
  for (const [i, j] of longestCommonSubsequence(went.map(workKey), came.map(workKey))) {
    pairs.push([went[i]!, came[j]!]);
  }
  return pairs;
}

function looseKey(node: DescribedNode): string {
  return `${node.operator} ${nameOf(node).replace(/_\d+$/, '')}`;
}

function strictKey(node: DescribedNode): string {
  const types = node.outputs.map(({ type }) => type);
  return JSON.stringify([looseKey(node), types, [...node.attributes]]);
}

/** What a node does, whatever its values are called. */
function workKey({ operator, outputs, attributes, inputs }: DescribedNode): string {
  return JSON.stringify([operator, outputs.map(({ type }) => type), [...attributes], inputs.length]);
}

function diffNode(
  a: DescribedNode,
  b: DescribedNode,
  translate: (name: string) => string | undefined,
): Change[] {
  const changes: Change[] = [];
  const add = (aspect: string, before: string | undefined, after: string | undefined) =>
    changes.push({ subject: 'node', name: nameOf(b), aspect, before, after });

  if (a.operator !== b.operator) add('operator', a.operator, b.operator);
  for (let i = 0; i < Math.max(a.inputs.length, b.inputs.length); i++) {
    const before = a.inputs[i];
    if (before === undefined || translate(before) !== b.inputs[i]) add(`input ${i}`, before, b.inputs[i]);
  }
  for (const name of new Set([...a.attributes.keys(), ...b.attributes.keys()])) {
    const before = a.attributes.get(name);
    const after = b.attributes.get(name);
    if (before !== after) add(`attribute ${name}`, before, after);
  }
  for (let i = 0; i < Math.max(a.outputs.length, b.outputs.length); i++) {
    const before = a.outputs[i]?.name;
    const after = b.outputs[i]?.name;
    if (before === undefined || after === undefined || isPresent(before) !== isPresent(after))
      add(`output ${i}`, before, after);
  }
  return changes;
}

function diffTypes(a: DescribedNode, b: DescribedNode): Change[] {
  return b.outputs.flatMap(({ name, type: after }, i): Change[] => {
    const before = a.outputs[i]?.type;
    if (i >= a.outputs.length || before === after) return [];
    const aspect = i === 0 ? 'type' : `type of ${withoutSign(name)}`;
    return [{ subject: 'node', name: nameOf(b), aspect, before, after }];
  });
}

function renamedOutputs([a, b]: Pair): [string, string][] {
  return a.outputs.flatMap(({ name }, i): [string, string][] => {
    const newName = b.outputs[i]?.name;
    return isPresent(name) && isPresent(newName) && newName !== name ? [[name, newName]] : [];
  });
}

/**
 * Which constant of `b` is which of `a`: one of the same name and content, then those of the same content in order, since
 * the number at the end of a name shifts when one comes or goes; of the rest, what kept its name has changed.
 */
function matchConstants(
  a: readonly DescribedItem[],
  b: readonly DescribedItem[],
): { changes: Change[]; renamed: [string, string][]; removed: string[] } {
  const contents = new Map(b.map(({ name, description }) => [name, description]));
  // Of a weight whose values are left out a type is all that there is to tell it by, and many have the same.
  const isNamed = ({ name, description }: DescribedItem) =>
    !description.includes(' = ') && contents.has(name) && !contents.get(name)!.includes(' = ');
  const typed = new Map(a.filter(isNamed).map((weight) => [weight.name, weight]));
  const same = new Set(
    a
      .filter(({ name, description }) => typed.has(name) || contents.get(name) === description)
      .map(({ name }) => name),
  );
  const [before, after] = [a, b].map((items) => items.filter(({ name }) => !same.has(name))) as [
    DescribedItem[],
    DescribedItem[],
  ];
  const pairs = longestCommonSubsequence(
    before.map(({ description }) => description),
    after.map(({ description }) => description),
  );
  const [oldPlaces, newPlaces] = [new Set(pairs.map(([i]) => i)), new Set(pairs.map(([, j]) => j))];
  const went = before.filter((_, i) => !oldPlaces.has(i));
  const came = after.filter((_, j) => !newPlaces.has(j));
  const kept = new Set(came.map(({ name }) => name));
  return {
    changes: [
      ...diffItems(
        'constant',
        [...typed.values()],
        b.filter(({ name }) => typed.has(name)),
      ),
      ...diffItems('constant', went, came),
    ],
    renamed: pairs
      .map(([i, j]): [string, string] => [before[i]!.name, after[j]!.name])
      .filter(([old, name]) => old !== name),
    removed: went.map(({ name }) => name).filter((name) => !kept.has(name)),
  };
}

function movedNodes(
  a: readonly DescribedNode[],
  b: readonly DescribedNode[],
  matched: ReadonlyMap<DescribedNode, DescribedNode>,
): string[] {
  const places = new Map(b.map((node, place) => [node, place]));
  const order = a.flatMap((node) => {
    const other = matched.get(node);
    return other ? [places.get(other)!] : [];
  });
  const ascending = [...order].sort((x, y) => x - y);
  const kept = new Set(
    longestCommonSubsequence(order.map(String), ascending.map(String)).map(([, j]) => ascending[j]!),
  );
  return order.filter((place) => !kept.has(place)).map((place) => nameOf(b[place]!));
}

function valueTypes({ inputs, constants, nodes }: ModelDescription): Map<string, string | undefined> {
  return new Map([
    ...[...inputs, ...constants].map(({ name, description }) => [name, description.split(' = ')[0]] as const),
    ...nodes.flatMap(({ outputs }) => outputs.map(({ name, type }) => [name, type] as const)),
  ]);
}

/** The first output that is there; every node of a valid model has one. */
function nameOf(node: DescribedNode): string {
  return withoutSign((node.outputs.find(({ name }) => isPresent(name)) ?? { name: '' }).name);
}

function withoutSign(name: string): string {
  return name.replace(/^%/, '');
}

/** Whether there is such an output, and not just a place for it. */
function isPresent(name: string | undefined): name is string {
  return name?.startsWith('%') ?? false;
}
