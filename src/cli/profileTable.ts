import type { KernelTime } from '../profile/trace.js';
import type { Profile } from '../profile/stepProfiler.js';
import { formatTable } from './table.js';

/** Lines that the tables of operators and of layers have at most; the rest is summed. */
const longest = 20;

/** A profile as text: the split of a step, then the time by operator and by layer, all graphs together. */
export function formatProfile(profile: Profile): string {
  const { firstStep, steps, milliseconds, loader, other, graphs } = profile;
  const kernels = graphs.flatMap((graph) => graph.kernels);
  const cells = (value: number) => [value.toFixed(1), `${((100 * value) / milliseconds).toFixed(1)} %`];
  const sum = (values: readonly { readonly milliseconds: number }[]) =>
    values.reduce((total, value) => total + value.milliseconds, 0);
  const split = [
    ['', 'runs', 'ms', 'share'],
    ...graphs.map(({ name, runs, milliseconds: time }) => [name, String(runs), ...cells(time)]),
    ['waiting for the loader', '', ...cells(loader)],
    ['everything else', '', ...cells(other)],
    ['step', '', ...cells(milliseconds)],
  ];
  const operators = [
    ['operator', 'calls', 'ms', 'share'],
    ...ranked(kernels, ({ operator }) => operator).map(([name, group]) => [
      name,
      group.reduce((calls, kernel) => calls + kernel.calls, 0).toFixed(0),
      ...cells(sum(group)),
    ]),
    ['between operators', '', ...cells(sum(graphs) - sum(kernels))],
  ];
  const layers = [
    ['layer', 'forward ms', 'backward ms', 'ms', 'share'],
    ...ranked(kernels, ({ layer }) => layer || 'outside of layers').map(([name, group]) => [
      name,
      ...(['forward', 'backward'] as const).map((pass) =>
        sum(group.filter((kernel) => kernel.pass === pass)).toFixed(1),
      ),
      ...cells(sum(group)),
    ]),
  ];
  const title = `steps ${firstStep + 1} to ${firstStep + steps}, means of a step`;
  return [`${title}\n`, split, operators, layers]
    .map((part) => (typeof part === 'string' ? part : formatTable(part)))
    .join('\n');
}

/** Groups of kernels by name, longest first; those that are not among the longest are one group. */
function ranked(
  kernels: readonly KernelTime[],
  nameOf: (kernel: KernelTime) => string,
): [string, KernelTime[]][] {
  const groups = new Map<string, KernelTime[]>();
  for (const kernel of kernels) {
    const group = groups.get(nameOf(kernel));
    if (group) group.push(kernel);
    else groups.set(nameOf(kernel), [kernel]);
  }
  const time = (group: readonly KernelTime[]) => group.reduce((sum, kernel) => sum + kernel.milliseconds, 0);
  const sorted = [...groups].sort(([, a], [, b]) => time(b) - time(a));
  const rest = sorted.slice(longest);
  const others: [string, KernelTime[]] = [`${rest.length} others`, rest.flatMap(([, group]) => group)];
  return [...sorted.slice(0, longest), ...(rest.length > 0 ? [others] : [])];
}
