import { formatShape } from '../onnx/model.js';
import type { Manifest } from '../programs/manifest.js';
import { differenceOf, type Difference } from './difference.js';

/**
 * What a manifest says beside its graphs and its config, one line an item: what the programs are for, and the
 * parameters and statistics in arena order.
 *
 *     target: portable
 *     parameter encoder.conv1.weight: float32[16,3,3,3] weight decays w1.00=[16,3,3,3] w0.50=[8,3,3,3]@[4,0,0,0]
 *     statistic encoder.bn1.w0.50.running_mean: float32[8] w0.50 query
 *
 * Behind `@` is where a block starts that does not start at the first element.
 */
export function manifestText(manifest: Manifest): string {
  const { method, target, opset, labels, parameters, statistics } = manifest;
  const lines = [
    `method: ${method}`,
    `target: ${target}`,
    `opset: ${opset}`,
    `widths: ${labels.join(' ')}`,
    ...parameters.map(({ name, shape, role, decay, slices, starts = {} }) => {
      const blocks = Object.entries(slices).map(([label, block]) => {
        const start = starts[label];
        return `${label}=${formatShape(block)}${start ? `@${formatShape(start)}` : ''}`;
      });
      const words = [`float32${formatShape(shape)}`, role, ...(decay ? ['decays'] : []), ...blocks];
      return `parameter ${name}: ${words.join(' ')}`;
    }),
    ...statistics.map(
      ({ name, shape, width, encoder }) =>
        `statistic ${name}: float32${formatShape(shape)} ${width} ${encoder}`,
    ),
  ];
  return `${lines.join('\n')}\n`;
}

/** How the text `b` of a manifest differs from `a`; undefined when it does not. */
export function diffManifestTexts(subject: string, a: string, b: string): Difference | undefined {
  if (a === b) return undefined;
  const before = items(a);
  const after = items(b);
  const lines = [...new Set([...before.keys(), ...after.keys()])].flatMap((name) => {
    const [old, now] = [before.get(name), after.get(name)];
    if (old === now) return [];
    if (old === undefined) return [`${name} added: ${now}`];
    return [now === undefined ? `${name} removed: ${old}` : `${name} changed: ${old} -> ${now}`];
  });
  const kept = [...after.keys()].filter((name) => before.has(name));
  const place = [...before.keys()].filter((name) => after.has(name)).findIndex((name, i) => name !== kept[i]);
  if (place >= 0) lines.push(`order differs, first at ${kept[place]}`);
  return differenceOf(subject, ...(lines.length === 0 ? ['white space differs'] : lines));
}

function items(text: string): Map<string, string> {
  return new Map(
    text
      .trimEnd()
      .split('\n')
      .map((line) => {
        const colon = line.indexOf(': ');
        return colon < 0 ? [line, ''] : [line.slice(0, colon), line.slice(colon + 2)];
      }),
  );
}
