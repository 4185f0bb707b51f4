import { diffTexts, formatDifference } from '../onnx/diff.js';
import type { ModelStructure } from '../onnx/structure.js';
import { checkRow, type CheckRow } from './results.js';

/** Of a structure, what two models are compared by. */
export type ComparedStructure = Pick<ModelStructure, 'text' | 'nodes' | 'irVersion' | 'metadata'>;

/** Metadata of our models that tell where one comes from, not what it takes and gives. */
const provenance = ['slimclr', 'checkpoint', 'verified'];

/**
 * How a model is built, against the golden one: operator sets, IR version, inputs and outputs, nodes, attributes, shapes,
 * those of weights as well, and what our metadata say of the preprocessing. Names of inner values, the order of nodes,
 * and types that only one of the two states are notes.
 */
export function checkStructure(model: string, golden: ComparedStructure, now: ComparedStructure): CheckRow {
  const details: string[] = [];
  const notes: string[] = [];
  const lines = (changes: Partial<ReturnType<typeof diffTexts>>) =>
    formatDifference({ changes: [], consequences: [], moved: [], renamed: [], ...changes }, '')
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => line.replace(/^: /, ''));
  const { changes, consequences, moved, renamed } = diffTexts(golden.text, now.text);
  const isOneSided = ({ aspect, before, after }: (typeof changes)[number]) =>
    /^type( of |$)/.test(aspect) && (before === undefined || after === undefined);
  const oneSided = [...changes, ...consequences].filter(isOneSided);
  details.push(
    ...lines({
      changes: changes.filter((change) => change.subject !== 'graph' && !isOneSided(change)),
      consequences: consequences.filter((change) => !isOneSided(change)),
    }),
  );
  notes.push(...lines({ changes: changes.filter(({ subject }) => subject === 'graph'), moved, renamed }));
  if (oneSided.length > 0) {
    const first = oneSided[0]!;
    notes.push(
      `the type of ${first.name} is stated by one of the two only, and of ${oneSided.length - 1} more values`,
    );
  }
  if (golden.irVersion !== now.irVersion) {
    details.unshift(`IR version changed: ${golden.irVersion} -> ${now.irVersion}`);
  }
  const isOurs = 'slimclr' in golden.metadata;
  for (const key of new Set([...Object.keys(golden.metadata), ...Object.keys(now.metadata)])) {
    const [before, after] = [golden.metadata[key], now.metadata[key]];
    if (before === after) continue;
    const line = `metadata ${key} changed: ${before ?? '(none)'} -> ${after ?? '(none)'}`;
    if (isOurs && !provenance.includes(key)) details.push(line);
    else notes.push(line);
  }
  return checkRow({
    model,
    kind: 'structure',
    item: 'graph',
    status: details.length === 0 ? 'passed' : 'failed',
    unit: 'nodes',
    golden: golden.nodes,
    now: now.nodes,
    details,
    notes,
  });
}
