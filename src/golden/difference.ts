import { diffTexts, formatDifference } from '../onnx/diff.js';

/** How one graph, or what a folder says of its graphs, differs. */
export interface Difference {
  /** e.g. `query.w0.25`, `cifar10-resnet20/query.w0.25`, `manifest`. */
  readonly subject: string;
  /** One line each, the subject first. Never empty. */
  readonly lines: readonly string[];
}

/** A difference of these lines, each without its subject. */
export function differenceOf(subject: string, ...lines: readonly string[]): Difference {
  return { subject, lines: lines.map((line) => `${subject}: ${line}`) };
}

/**
 * How the canonical text `b` of a graph (onnx/text.ts) differs from `a`; undefined when it does not.
 * Throws a SlimclrError for other text.
 */
export function diffGraphTexts(subject: string, a: string, b: string): Difference | undefined {
  if (a === b) return undefined;
  const lines = formatDifference(diffTexts(a, b), subject);
  return lines === '' ? differenceOf(subject, 'white space differs') : { subject, lines: lines.split('\n') };
}
