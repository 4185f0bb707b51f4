import { numbersOf, verdictOf } from './render.js';
import type { CheckResult, CheckRow } from './results.js';

/** A check in the XML that CI systems read as the results of tests: a suite for each model, a case for each row. */
export function checkJunit({ rows }: Pick<CheckResult, 'rows'>): string {
  const models = [...new Set(rows.map(({ model }) => model))];
  const suites = models.flatMap((model) => {
    const own = rows.filter((row) => row.model === model);
    return [`  <testsuite name="${xml(model)}" ${counts(own)}>`, ...own.flatMap(testCase), '  </testsuite>'];
  });
  return [
    '<?xml version="1.0" encoding="UTF-8"?>',
    `<testsuites name="slimclr check" ${counts(rows)}>`,
    ...suites,
    '</testsuites>',
    '',
  ].join('\n');
}

function counts(rows: readonly CheckRow[]): string {
  const of = (status: CheckRow['status']) => rows.filter((row) => row.status === status).length;
  return `tests="${rows.length}" failures="${of('failed')}" errors="0" skipped="${of('skipped')}"`;
}

function testCase(row: CheckRow): string[] {
  const name = `${row.kind} ${row.item}`;
  const open = `    <testcase classname="${xml(row.model)}" name="${xml(name)}"`;
  if (row.status === 'passed') return [`${open}/>`];
  if (row.status === 'skipped') {
    return [`${open}>`, `      <skipped message="${xml(row.reason ?? '')}"/>`, '    </testcase>'];
  }
  const { golden, now, limit } = numbersOf(row);
  const message = [verdictOf(row), `golden ${golden || '-'}, now ${now || '-'}, limit ${limit || '-'}`].join(
    '; ',
  );
  const text = row.details.map(xml).join('\n');
  return [`${open}>`, `      <failure message="${xml(message)}">${text}</failure>`, '    </testcase>'];
}

/** Text as XML 1.0 takes it: characters that it has no place for become a question mark. */
function xml(text: string): string {
  return text
    .replaceAll(/[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\u{10000}-\u{10ffff}]/gu, '?')
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll('"', '&quot;')
    .replaceAll('\n', '&#10;');
}
