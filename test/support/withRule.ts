import { operators } from '../../src/ops/index.js';
import type { GradientRule, OpName } from '../../src/ops/operator.js';

/** Runs `body` while an operator of the table has another gradient rule. */
export async function withRule(
  op: OpName,
  rule: GradientRule<never>,
  body: () => Promise<void>,
): Promise<void> {
  const table = operators as Record<string, object>;
  const original = table[op]!;
  table[op] = { ...original, gradient: rule };
  try {
    await body();
  } finally {
    table[op] = original;
  }
}
