import type { CaseResult } from './compareCase.js';
import { badness, type QuantityResult } from './comparison.js';
import { allowedRatio, gradientTables } from './gradientTable.js';

/** Tensors named below a quantity; --json has all. */
const shown = 5;

/** Everything: errors of each quantity and target, of the gradients of each width beside PyTorch's. */
export function printCase({ title, quantities, gradients, switchedRelus, ratios }: CaseResult): void {
  console.log(`\n${title}`);
  for (const [target, results] of Object.entries(quantities)) printQuantities(target, results);
  const [pytorch, ours] = [gradients.pytorch, gradients.ours].map((each) => new Map(Object.entries(each)));
  for (const line of gradientTables(pytorch!, ours!)) console.log(`  ${line}`);
  printSwitched(switchedRelus);
  if (!asExact(ratios)) {
    console.log(`  OUT OF BOUND: gradients, more than ${allowedRatio} times PyTorch's error`);
  }
}

/** Whether no target's gradients are, as a whole, less exact than PyTorch's by more than the allowed ratio. */
export function asExact(ratios: CaseResult['ratios']): boolean {
  return Object.values(ratios).every((ratio) => ratio <= allowedRatio);
}

export function printHeading(targets: readonly string[]): void {
  const columns = targets.map((target) => `${target}: losses, gradients, ratio`.padEnd(36));
  console.log(`${'worst error of'.padEnd(52)}${columns.join('')}`);
}

/** One line, and what is out of bound below it. */
export function printLine({ title, quantities, within, ratios }: CaseResult): void {
  const columns = Object.entries(quantities).map(([target, results]) => {
    const numbers = [worst(results, / losses$/), worst(results, / gradients$/)];
    return [...numbers.map(exponent), ratios[target]!.toFixed(1)]
      .map((number) => number.padEnd(9))
      .join('')
      .padEnd(36);
  });
  console.log(`${title.padEnd(52)}${columns.join('')}${within ? 'PASS' : 'FAIL'}`);
  if (within) return;
  for (const [target, results] of Object.entries(quantities)) {
    printQuantities(
      target,
      results.filter(({ within }) => !within),
    );
  }
}

function worst(results: readonly QuantityResult[], quantity: RegExp): number {
  const tensors = results
    .filter((result) => quantity.test(result.quantity))
    .flatMap(({ tensors }) => tensors);
  return tensors.reduce((most, { error }) => (error > most || Number.isNaN(error) ? error : most), 0);
}

function printQuantities(target: string, quantities: readonly QuantityResult[]): void {
  if (quantities.length === 0) return;
  console.log(`  ${target.padEnd(26)}tensors   worst error     bound   verdict`);
  for (const { quantity, tensors, mismatched, within } of quantities) {
    const worstFirst = [...tensors].sort((a, b) => badness(b) - badness(a));
    const [worst] = worstFirst;
    const numbers = worst ? `${exponent(worst.error).padStart(14)}${exponent(worst.bound).padStart(10)}` : '';
    const count = String(tensors.length).padStart(7);
    console.log(`  ${quantity.padEnd(26)}${count}${numbers.padEnd(24)}   ${within ? 'ok' : 'OUT OF BOUND'}`);

    const notes = [
      ...mismatched.map((name) => `${name}: on one side only, or of another shape`),
      ...worstFirst
        .filter((tensor) => tensor.excused || !tensor.within)
        .map(
          ({ name, error, within, bound, pytorchError }) =>
            `${name}: ${exponent(error)} ${within ? 'allowed, within' : 'beyond'} ${exponent(bound)}; ` +
            `PyTorch's own float32 runs: ${exponent(pytorchError)}`,
        ),
    ];
    for (const note of notes.slice(0, shown)) console.log(`    ${note}`);
    if (notes.length > shown) console.log(`    and ${notes.length - shown} more`);
  }
}

function printSwitched(switched: CaseResult['switchedRelus']): void {
  for (const [name, counts] of Object.entries(switched)) {
    const places = Object.entries(counts).map(([relu, count]) => `${count} in ${relu}`);
    if (places.length > 0) console.log(`  ReLU units that differ in ${name}: ${places.join(', ')}`);
  }
}

const exponent = (value: number): string => value.toExponential(1);
