import type { Run } from './run.js';
import { columnGroups, summarizeWidths } from './summary.js';

/** Between columns. */
const gap = '  ';

/** The summary table as text for a terminal: two lines of headings, one line a width, `-` for what is not known. */
export function summaryTable(run: Run): string {
  const widths = summarizeWidths(run);
  const blocks = columnGroups.map(({ heading, columns }) => {
    const cells = columns.map((column) => [
      column.heading,
      ...widths.map((width) => column.cell(width) ?? '-'),
    ]);
    const sizes = cells.map((column) => Math.max(...column.map((text) => text.length)));
    const lines = [column(0), ...widths.map((_, i) => column(i + 1))];
    const size = Math.max(heading.length, ...lines.map((line) => line.length));
    return [heading.padEnd(size), ...lines.map((line) => line.padStart(size))];

    function column(row: number): string {
      return cells.map((texts, i) => texts[row]!.padStart(sizes[i]!)).join(gap);
    }
  });
  const lines = blocks[0]!.map((_, row) =>
    blocks
      .map((block) => block[row]!)
      .join(gap)
      .trimEnd(),
  );
  return `${lines.join('\n')}\n`;
}
