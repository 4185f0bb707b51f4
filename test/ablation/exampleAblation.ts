import type { AblationResult, AblationRun } from '../../src/ablation/results.js';
import { summarize } from '../../src/ablation/statistics.js';
import { defaultTable } from '../../src/ablation/variants.js';
import { exampleConfig, exampleKnn, exampleProbe } from '../report/exampleRun.js';

const variants = Object.keys(defaultTable);

/** Each later variant is 0.01 better, and so is each later seed. */
function exampleRuns(seeds: readonly number[]): AblationRun[] {
  return seeds.flatMap((seed) =>
    variants.map((variant, i): AblationRun => {
      const better = (widths: typeof exampleKnn.widths) =>
        widths.map((entry) => ({
          ...entry,
          trained: { ...entry.trained, top1: entry.trained.top1 + 0.01 * (i + seed) },
        }));
      return {
        variant,
        seed,
        trainingSeconds: 300 + 60 * i,
        evaluationSeconds: 20,
        knn: better(exampleKnn.widths),
        ridge: better(exampleProbe.widths),
        gradients: { ratio: 1.3 - 0.2 * i, cosine: 0.3 + 0.1 * i },
      };
    }),
  );
}

/** Of the default variants, with these seeds. */
export function exampleAblation(seeds: readonly number[]): AblationResult {
  const runs = exampleRuns(seeds);
  return {
    kind: 'ablation',
    version: '0.1.0',
    config: exampleConfig,
    table: defaultTable,
    evaluation: {},
    labels: null,
    complete: seeds.length > 0,
    runs,
    failures: [],
    variants: summarize(variants, runs),
  };
}
