import { checkDetails, checkSummary, checkTable } from './render.js';
import type { CheckResult } from './results.js';

/** Bounds of what is told: the longest comment that GitHub takes has 65,536 characters. */
const longest = 60_000;
const mostRows = 60;
const longestCell = 120;

/**
 * A check for a comment on a pull request: the verdict, the table, and what differs folded away; at most `lines` of each
 * row, all for 0. What names of models and values hold is text and nothing else.
 */
export function checkMarkdown(result: CheckResult, lines: number): string {
  const { rows: all } = result;
  // Of very many the ones that passed say least.
  const rows = (all.length <= mostRows ? all : all.filter(({ status }) => status !== 'passed')).slice(
    0,
    mostRows,
  );
  const [headings, ...cells] = checkTable({ rows }).map((row) => row.map(cell));
  const line = (texts: readonly string[]) => `| ${texts.join(' | ')} |`;
  const verdict = result.passed ? 'as the golden models' : 'changed';
  const table = [line(headings!), line(headings!.map(() => '---')), ...cells.map(line)];
  const room = longest - table.join('\n').length;
  const details = within(room, checkDetails(result, lines).map(html));
  return [
    `### ${result.passed ? '✅' : '❌'} ${cell(result.subject)}: ${verdict}`,
    '',
    `${checkSummary(result)}, against ${cell(result.against)}.`,
    '',
    ...table,
    ...(rows.length < all.length ? ['', `${all.length - rows.length} more checks.`] : []),
    ...(details === ''
      ? []
      : ['', '<details><summary>What differs</summary>', '', `<pre>${details}</pre>`, '', '</details>']),
    '',
  ].join('\n');
}

/** As many lines as there is room for. */
function within(room: number, lines: readonly string[]): string {
  let length = 0;
  const shown = lines.filter((line) => (length += line.length + 1) <= room);
  return [...shown, ...(shown.length < lines.length ? ['and more'] : [])].join('\n');
}

/** Text of one line that Markdown takes for nothing else. */
function cell(text: string): string {
  const short = text.length > longestCell ? `${text.slice(0, longestCell)}...` : text;
  return html(short)
    .replaceAll(/[\r\n]+/g, ' ')
    .replaceAll(/[\\`*_{}[\]()#+!|~@:/]/g, (character) => `&#${character.charCodeAt(0)};`);
}

function html(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
}
