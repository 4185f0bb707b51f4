import { formatCount } from '../formatCount.js';
import type { CheckResult, CheckRow } from './results.js';

/** The rows of a check as cells, the headings first. */
export function checkTable({ rows }: Pick<CheckResult, 'rows'>): string[][] {
  return [
    ['model', 'check', 'golden', 'now', 'limit', 'result'],
    ...rows.map((row) => {
      const { golden, now, limit } = numbersOf(row);
      return [row.model, `${row.kind} ${row.item}`, golden, now, limit, verdictOf(row)];
    }),
  ];
}

/** What differs: at most so many lines of each row, all for 0. */
export function checkDetails({ rows }: Pick<CheckResult, 'rows'>, lines: number): string[] {
  return rows.flatMap((row) => {
    const all = [...row.details, ...row.notes.map((note) => `note: ${note}`)];
    const shown = lines === 0 ? all : all.slice(0, lines);
    const rest = all.length - shown.length;
    return [
      ...shown.map((line) => `${row.model}: ${line}`),
      ...(rest > 0 ? [`${row.model}: ${rest} more lines`] : []),
    ];
  });
}

/** `12 checks of 4 models, 2 failed`. */
export function checkSummary({ rows }: Pick<CheckResult, 'rows'>): string {
  const models = new Set(rows.map(({ model }) => model)).size;
  const of = (status: CheckRow['status']) => rows.filter((row) => row.status === status).length;
  const skipped = of('skipped') > 0 ? `, ${of('skipped')} skipped` : '';
  return `${rows.length} checks of ${models} ${models === 1 ? 'model' : 'models'}, ${of('failed')} failed${skipped}`;
}

/** Of a row in words: `passed`, `failed: 3 differences`. */
export function verdictOf({ status, reason, details, kind }: CheckRow): string {
  const differences = kind === 'structure' && details.length > 0 ? `${details.length} differences` : null;
  const why = reason ?? (details.length === 1 && kind === 'structure' ? '1 difference' : differences);
  return why === null ? status : `${status}: ${why}`;
}

/** The numbers of a row in words; empty where there is none. */
export function numbersOf({
  unit,
  golden,
  now,
  limit,
}: CheckRow): Record<'golden' | 'now' | 'limit', string> {
  const format = formats[unit];
  const cell = (value: number | null) => (value === null ? '' : format(value));
  return { golden: cell(golden), now: cell(now), limit: cell(limit) };
}

const formats: Readonly<Record<CheckRow['unit'], (value: number) => string>> = {
  nodes: (value) => `${value} nodes`,
  error: (value) => (value === 0 ? '0' : value.toExponential(1)),
  bytes: (value) => `${formatCount(value)}B`,
  milliseconds: (value) => `${value.toPrecision(3)} ms`,
  share: (value) => `${(100 * value).toFixed(1)} %`,
};
