import type { TrainingSubject } from '../../../src/export/training/artifacts.js';
import { adamwSettings } from '../../../src/export/training/optimizerModel.js';
import { adamwUpdate } from '../../../src/optimizers/adamw.js';
import { bindWeights } from '../../../src/programs/bindWeights.js';
import { classifierInputs, finetuneProgram } from '../../../src/programs/finetune.js';
import { loadGraph } from '../../support/runGraph.js';

export interface Batch {
  /** `[N, 3, S, S]`. */
  readonly images: Float32Array;
  /** `[N]`. */
  readonly labels: readonly number[];
}

/** What fine-tuning trains here: its losses, and the blocks of the width after all steps. */
export interface OwnSteps {
  readonly losses: readonly number[];
  readonly tensors: ReadonlyMap<string, number[]>;
}

/** Our own fine-tuning step, batch norm with its running statistics, by our own AdamW, on stock ONNX Runtime. */
export async function ownSteps(
  { network, config, weights, width, classifier }: TrainingSubject,
  trained: readonly string[],
  batches: readonly Batch[],
  learningRate: number,
): Promise<OwnSteps> {
  const { beta1, beta2, epsilon, weightDecay } = adamwSettings;
  const tensors = new Map<string, number[]>();
  const moments = new Map<string, readonly [number[], number[]]>();
  const update = await loadGraph(adamwUpdate({ beta1, beta2, epsilon }));
  const losses: number[] = [];
  /** By the size of the batch. */
  const graphs = new Map<number, Awaited<ReturnType<typeof loadGraph>>>();
  for (const [step, { images, labels }] of batches.entries()) {
    let loaded = graphs.get(labels.length);
    if (!loaded) {
      const own = { ...config, batchSize: labels.length };
      const { graph } = finetuneProgram(network, own, width, classifier.classes, 'eval');
      const bound = bindWeights(graph, weights);
      if (step === 0) {
        for (const [{ name }, fallback] of bound.defaults) {
          if (fallback.kind === 'inline') tensors.set(name, Array.from(fallback.values as Float32Array));
        }
        tensors.set(classifierInputs.weight, Array.from(classifier.weight));
        tensors.set(classifierInputs.bias, Array.from(classifier.bias));
      }
      graphs.set(labels.length, (loaded = await loadGraph(bound)));
    }
    const found = await loaded.run({ ...Object.fromEntries(tensors), images: Array.from(images), labels });
    losses.push(found['loss']![0]!);
    for (const name of trained) {
      const parameter = tensors.get(name)!;
      const zeros = new Array<number>(parameter.length).fill(0);
      const [first, second] = moments.get(name) ?? [zeros, zeros];
      const updated = await update.run({
        parameter,
        gradient: found[`grad.${name}`]!,
        first_moment: first,
        second_moment: second,
        learning_rate: [learningRate],
        weight_decay: [weightDecay],
        bias_correction1: [1 - beta1 ** (step + 1)],
        bias_correction2: [1 - beta2 ** (step + 1)],
      });
      tensors.set(name, updated['new_parameter']!);
      moments.set(name, [updated['new_first_moment']!, updated['new_second_moment']!]);
    }
  }
  for (const graph of [update, ...graphs.values()]) await graph.release();
  return { losses, tensors };
}
