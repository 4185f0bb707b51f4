import { floats, type EngineSource } from '../engines/hostGraph.js';
import { Graph } from '../graph/graph.js';
import { Builder } from '../ops/builder.js';
import { AccuracyCounter } from './accuracy.js';
import type { Features } from './features.js';
import { openGraph } from './openGraph.js';
import type { Accuracy } from './results.js';

/** Linear classifier of one width's features. */
export interface LinearClassifier {
  readonly classes: number;
  readonly channels: number;
  /** [classes, C] */
  readonly weight: Float32Array;
  /** [classes] */
  readonly bias: Float32Array;
}

/** Images classified in one run. */
const blockRows = 1024;

/** Calls `use` with the scores `[classes]` of every image in turn; they are valid during the call only. */
export async function classify(
  { classes, channels, weight, bias }: LinearClassifier,
  features: Features,
  runtime: EngineSource,
  use: (scores: Float32Array, image: number) => void,
): Promise<void> {
  const graph = new Graph('classify');
  const input = (name: string, ...shape: (number | string)[]) =>
    graph.input(name, { dtype: 'float32', shape });
  const operands = [
    input('features', 'batch', channels),
    input('weight', classes, channels),
    input('bias', classes),
  ];
  graph.output('logits', new Builder(graph).op('Gemm', operands, { transB: true }));
  const classified = await openGraph(graph, runtime);
  try {
    await classified.hold({ weight: floats(weight, [classes, channels]), bias: floats(bias, [classes]) });
    for (let start = 0; start < features.count; start += blockRows) {
      const rows = Math.min(blockRows, features.count - start);
      const block = features.data.subarray(start * channels, (start + rows) * channels);
      const outputs = await classified.run({ features: floats(block, [rows, channels]) });
      const logits = outputs['logits']!.data as Float32Array;
      for (let row = 0; row < rows; row++) {
        use(logits.subarray(row * classes, (row + 1) * classes), start + row);
      }
    }
  } finally {
    await classified.close();
  }
}

/** Accuracy of each classifier on the features of its width. */
export async function classifierAccuracies(
  classifiers: readonly LinearClassifier[],
  features: readonly Features[],
  labels: Int32Array,
  runtime: EngineSource,
): Promise<Accuracy[]> {
  const accuracies: Accuracy[] = [];
  for (const [i, classifier] of classifiers.entries()) {
    const counter = new AccuracyCounter('logits', features[i]!.origin);
    await classify(classifier, features[i]!, runtime, (scores, image) =>
      counter.add(scores, labels[image]!, image),
    );
    accuracies.push(counter.accuracy);
  }
  return accuracies;
}
