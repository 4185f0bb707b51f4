import { expect } from 'chai';
import { formatCase, formatSummary, type InferCase, type Side } from '../../../tools/bench/inferReport.js';

const inferCase = (
  [width, batch, multiplyAdds]: readonly [number, number, number],
  ...timings: readonly (readonly [Side, string, number])[]
): InferCase => ({
  width,
  batch,
  multiplyAdds,
  timings: timings.map(([side, name, milliseconds]) => ({ side, name, milliseconds })),
});

const full = inferCase(
  [1, 1, 4000],
  ['slimclr', 'export', 30],
  ['torch.onnx', 'old', 25],
  ['torch.onnx', 'new', 24],
  ['eager', 'NCHW', 60],
  ['eager', 'channels_last', 75],
);
const quarter = inferCase([0.25, 1, 250], ['slimclr', 'export', 2.5], ['eager', 'NCHW', 10]);

describe('tools/bench: report of inference times', () => {
  it('summary: each side by its fastest contender, ratios below 1 where slimclr is faster', () => {
    const lines = formatSummary([full]).split('\n');
    expect(lines[0]!.trim().split(/ {2,}/)).to.deep.equal([
      'best of each, ms',
      'slimclr',
      ...['torch.onnx', 'ratio', 'eager', 'ratio', 'frozen', 'ratio'],
    ]);
    expect(lines[1]!.trim().split(/ {2,}/)).to.deep.equal([
      'w1.00 batch 1',
      '30.00',
      ...['24.00', '1.25', '60.00', '0.50', '-', '-'],
    ]);
  });

  it('speed-up: against the widest model at the same batch size, beside the share of multiply-adds', () => {
    const batch16 = inferCase([0.25, 16, 250], ['slimclr', 'export', 20]);
    const speedUps = formatSummary([quarter, batch16, full])
      .split('\n')
      .filter((line) => line.includes('times as fast'));
    expect(speedUps).to.deep.equal([
      'batch 1: w0.25 is 12.0 times as fast as w1.00, with 16.0 times fewer multiply-adds',
    ]);
  });

  it('case: every contender with what slimclr takes of its time', () => {
    const rows = formatCase(full).split('\n');
    expect(rows[0]).to.equal('w1.00 batch 1');
    expect(rows.slice(2, -1).map((row) => row.trim().split(/ {2,}/))).to.deep.equal([
      ['export', '30.00', '1.00'],
      ['old', '25.00', '1.20'],
      ['new', '24.00', '1.25'],
      ['NCHW', '60.00', '0.50'],
      ['channels_last', '75.00', '0.40'],
    ]);
  });
});
