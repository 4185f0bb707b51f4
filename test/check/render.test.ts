import { expect } from 'chai';
import { checkJunit } from '../../src/check/junit.js';
import { checkMarkdown } from '../../src/check/markdown.js';
import { checkDetails, checkSummary, checkTable } from '../../src/check/render.js';
import { checkRow, type CheckResult } from '../../src/check/results.js';

const model = 'a|b`<script>.onnx';
const result: CheckResult = {
  kind: 'check',
  version: 1,
  slimclr: '0.1.0',
  subject: 'export',
  against: 'golden [x](javascript:y) @someone\nline',
  passed: false,
  rows: [
    checkRow({
      ...{ model, kind: 'structure', item: 'graph', status: 'failed', unit: 'nodes', golden: 48, now: 49 },
      details: ['node x added: %x = Relu(%"<img src=q>")', 'node y removed: </pre></details>@team', 'third'],
      notes: ['1 value renamed, first %a -> %b'],
    }),
    checkRow({
      ...{
        model,
        kind: 'numerics',
        item: 'features',
        status: 'passed',
        unit: 'error',
        now: 2.5e-7,
        limit: 1e-3,
      },
    }),
    checkRow({
      ...{ model: 'other.onnx', kind: 'budget', item: 'latency', status: 'skipped', unit: 'milliseconds' },
      reason: 'the golden folder does not keep the model',
    }),
    checkRow({
      ...{ model: 'other.onnx', kind: 'accuracy', item: 'knn', status: 'failed', unit: 'share' },
      ...{ golden: 0.412, now: 0.4, limit: 0.407 },
    }),
  ],
};

describe('check: how it is shown', () => {
  it('the table: numbers in their units, the verdict with its reason', () => {
    expect(checkTable(result).slice(1)).to.deep.equal([
      [model, 'structure graph', '48 nodes', '49 nodes', '', 'failed: 3 differences'],
      [model, 'numerics features', '', '2.5e-7', '1.0e-3', 'passed'],
      ['other.onnx', 'budget latency', '', '', '', 'skipped: the golden folder does not keep the model'],
      ['other.onnx', 'accuracy knn', '41.2 %', '40.0 %', '40.7 %', 'failed'],
    ]);
    expect(checkSummary(result)).to.equal('4 checks of 2 models, 2 failed, 1 skipped');
  });

  it('details: as many lines as asked for, and how many more there are', () => {
    expect(checkDetails(result, 0)).to.have.length(4);
    expect(checkDetails(result, 2).slice(1)).to.deep.equal([
      `${model}: node y removed: </pre></details>@team`,
      `${model}: 2 more lines`,
    ]);
  });

  it('Markdown: one line a row, and nothing of a name or value is more than text', () => {
    const text = checkMarkdown(result, 0);
    const lines = text.split('\n');
    expect(lines.filter((line) => line.startsWith('|'))).to.have.length(2 + result.rows.length);
    for (const line of lines.filter((row) => row.startsWith('|'))) expect(line.split('|')).to.have.length(8);
    expect(text).not.to.match(/<script|<img|javascript:|\]\(|@someone/);
    expect(text.match(/<\/pre>/g)).to.have.length(1);
    expect(lines[0]).to.match(/^### ❌ export: changed$/);
    expect(checkMarkdown({ ...result, passed: true, rows: result.rows.slice(1, 3) }, 0)).to.match(/^### ✅/).and.not.include('<details>'); // prettier-ignore
  });

  it('Markdown of very many differences still fits a comment', () => {
    const details = Array.from({ length: 5000 }, (_, i) => `node n${i} & its <friends> added`);
    const text = checkMarkdown({ ...result, rows: [{ ...result.rows[0]!, details }] }, 0);
    expect(text.length).to.be.within(30_000, 65_536);
    expect(text.trimEnd().endsWith('</details>')).to.equal(true);
    const many = Array.from({ length: 3000 }, (_, i) => result.rows[i % 2]!);
    const table = checkMarkdown({ ...result, rows: many }, 1);
    expect(table.length).to.be.below(65_536);
    expect(table).to.include('3000 checks of 1 model, 1500 failed').and.include('2940 more checks.');
    expect(table).not.to.include('numerics features');
  });

  it('JUnit: a suite a model, a case a row, counts that fit, characters that XML has no place for left out', () => {
    const rows = [...result.rows, { ...result.rows[0]!, details: ['a "quoted" \u0000 & <b>'] }];
    const xml = checkJunit({ rows });
    expect(xml).to.match(/^<\?xml version="1.0" encoding="UTF-8"\?>\n<testsuites [^>]*tests="5" failures="3" errors="0" skipped="1">/); // prettier-ignore
    expect(xml.match(/<testsuite /g)).to.have.length(2);
    expect(xml.match(/<testcase /g)).to.have.length(5);
    expect(xml).to.include('classname="a|b`&lt;script&gt;.onnx" name="structure graph"');
    expect(xml).to.include('message="failed; golden 41.2 %, now 40.0 %, limit 40.7 %"');
    expect(xml).to.include('>a &quot;quoted&quot; ? &amp; &lt;b&gt;</failure>');
    expect(xml.replaceAll(/<[^<>]*>/g, '')).not.to.match(/[<>]/);
  });
});
