import { UsageError } from '../../src/errors.js';

const [begin, end] = ['<!-- interop -->', '<!-- /interop -->'];

/** The text of a document with these rows, the first one the headings, as its table between the two marks. */
export function withTable(
  text: string,
  [head, ...rows]: readonly (readonly string[])[],
  name: string,
): string {
  const [from, to] = [text.indexOf(begin), text.indexOf(end)];
  if (from < 0 || to < from)
    throw new UsageError(`${name} has no place for the table; accepted: ${begin} ... ${end}`);
  const line = (cells: readonly string[]) => `| ${cells.join(' | ')} |`;
  const lines = [line(head!), line(head!.map(() => '---')), ...rows.map(line)];
  return `${text.slice(0, from + begin.length)}\n\n${lines.join('\n')}\n\n${text.slice(to)}`;
}
