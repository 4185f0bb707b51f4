import { median } from './median.js';
import type { BusyNeighbour } from './neighbours.js';
import type { RivalTrial } from './stepRival.js';

/** One side of a case. */
export interface SideResult {
  readonly name: string;
  /** Of each step in turns with the other side. */
  readonly seconds: readonly number[];
  /** Of each step of a block of its own. */
  readonly blockSeconds: readonly number[];
  /** Peak resident memory in bytes. */
  readonly peakMemory: number;
}

export interface BenchedConfig {
  readonly name: string;
  readonly imageSize: number;
  readonly batchSize: number;
  readonly goal: number;
  readonly memoryGoal: number;
  readonly ours: SideResult;
  /** Absent where no Python has PyTorch. */
  readonly rival?: SideResult;
  readonly trials: readonly RivalTrial[];
  /** What ran beside both. */
  readonly neighbours: readonly BusyNeighbour[];
}

const header = [
  'case',
  'batch',
  'slimclr',
  'PyTorch',
  'ratio (goal)',
  'ratio in blocks',
  'slimclr',
  'PyTorch',
  'memory ratio (goal)',
  'fastest PyTorch',
  'ran beside it',
];

/**
 * All results as a Markdown table: median seconds a step in turns, ratios in turns and in blocks, peak memory of both
 * sides, and what else used more than 5 % of a core.
 */
export function formatResults(results: readonly BenchedConfig[]): string {
  const rows = results.map(({ name, batchSize, goal, memoryGoal, ours, rival, neighbours }) => [
    name,
    String(batchSize),
    seconds(ours),
    rival ? seconds(rival) : '-',
    rival ? `${ratio(median(ours.seconds), median(rival.seconds))} (${goal.toFixed(2)})` : '-',
    rival ? ratio(median(ours.blockSeconds), median(rival.blockSeconds)) : '-',
    memory(ours),
    rival ? memory(rival) : '-',
    rival ? `${ratio(ours.peakMemory, rival.peakMemory)} (${memoryGoal.toFixed(2)})` : '-',
    rival?.name ?? 'none found',
    neighbours.map(neighbourText).join(', ') || 'nothing',
  ]);
  const widths = header.map((title, i) => Math.max(title.length, ...rows.map((row) => row[i]!.length)));
  const line = (cells: readonly string[]) =>
    `| ${cells.map((cell, i) => cell.padEnd(widths[i]!)).join(' | ')} |`;
  return [line(header), line(widths.map((width) => '-'.repeat(width))), ...rows.map(line)].join('\n');
}

export function formatTrial({ name, seconds, peakMemory }: RivalTrial): string {
  return `  ${name.padEnd(50)} ${seconds.toFixed(2).padStart(7)} s ${megabytes(peakMemory).padStart(8)}`;
}

/** Such as `3 node (nice 10) 43 %`, of one core. */
function neighbourText({ name, nice, count, share }: BusyNeighbour): string {
  const many = count === 1 ? '' : `${count} `;
  const priority = nice === 0 ? '' : ` (nice ${nice})`;
  return `${many}${name.replaceAll('|', '/')}${priority} ${Math.round(100 * share)} %`;
}

const seconds = (side: SideResult): string => `${median(side.seconds).toFixed(2)} s`;
const memory = (side: SideResult): string => megabytes(side.peakMemory);
const ratio = (ours: number, theirs: number): string => (ours / theirs).toFixed(2);
const megabytes = (bytes: number): string => `${Math.round(bytes / 2 ** 20)} MiB`;
