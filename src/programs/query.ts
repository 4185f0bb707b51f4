import { gradients } from '../autodiff.js';
import { viewSize, type Config } from '../config/schema.js';
import type { Distillation } from '../config/techniques.js';
import { Graph, type Value } from '../graph/graph.js';
import { lossWeights } from '../losses/reweighting.js';
import { Forward } from '../nn/forward.js';
import { Builder } from '../ops/builder.js';
import { encoderBuilder } from '../precision/autocast.js';
import { lossScaling } from '../precision/lossScaling.js';
import { widthLabel } from '../nn/widthLabel.js';
import { names, prefixes } from './names.js';
import type { Network } from './network.js';
import { outputStatistics, type Program } from './program.js';

/** What a method's loss is built from at one width. */
export interface QueryPass {
  readonly b: Builder;
  readonly graph: Graph;
  readonly width: number;
  /** What the head gives, `[R, D]`, not normalised. */
  readonly output: Value;
  /** The widths that teach this one, wide first; none where nothing is distilled. */
  readonly teachers: readonly string[];
}

/** What a width's predictions are to narrower ones, its students, and to the diagnostics. */
export interface Predictions {
  /** `[R, C]`, as distillation sees them: similarities with the positive first, or class scores. */
  readonly logits: Value;
  /** `[R, D]`, L2-normalised; a supervised network has none. */
  readonly embedding?: Value;
}

export interface QueryResult {
  readonly loss: Value;
  /** What the loss is made of, by output name. */
  readonly terms: Readonly<Record<string, Value>>;
  readonly predictions: Predictions;
}

/** Builds a method's inputs and loss. */
export type Objective = (pass: QueryPass) => QueryResult;

/**
 * Which of its predictions a width is distilled by: `logits`, or `embedding` for the kinds on features. E.g. with
 * `kd-logits` at widths 1, 0.5 the logits of 1.0 are an input `teacher.w1.00` of the graph of 0.5.
 */
export function distilledPrediction({ kind }: Distillation): keyof Predictions {
  return kind === 'kd-features' || kind === 'mse-features' ? 'embedding' : 'logits';
}

/** The widths that teach one, wide first. */
export function teachersOf(
  width: number,
  { widths, techniques: { distillation } }: Pick<Config, 'widths' | 'techniques'>,
): number[] {
  if (distillation.kind === 'none' || width === widths[0]) return [];
  return distillation.teachers === 'full' ? [widths[0]!] : widths.filter((other) => other > width);
}

/**
 * Forward and backward of the query network at one width (docs/method.md, one training step, 3 and 4).
 * `batch`: images of one run. Gradients are those of `loss_weight * loss`, in float16
 * of `loss_scale` times that before they are divided by it in float32; README.md lists inputs and outputs.
 */
export function queryProgram(
  network: Network,
  config: Config,
  width: number,
  batch: number,
  objective: Objective,
): Program {
  const {
    techniques,
    widths,
    runtime: { precision },
  } = config;
  const graph = new Graph(`query.${widthLabel(width)}`);
  const b = new Builder(graph);
  const images = graph.input(names.images, {
    dtype: 'float32',
    shape: [batch, config.data.channels, viewSize(config), viewSize(config)],
  });
  const f = new Forward(encoderBuilder(b, precision), width, 'train');
  const features = network.encoder.forward(f, images); // [N, C_w]
  const output = network.head.forward(f.by(b), features); // [N, D]
  const teachers = teachersOf(width, config).map(widthLabel);
  const { loss, terms, predictions } = b.scope('loss', () =>
    objective({ b, graph, width, output, teachers }),
  );
  const lambda = lossWeights(techniques.reweighting, widths)[widths.indexOf(width)]!;
  const lossWeight = graph.input(
    names.lossWeight,
    { dtype: 'float32', shape: [] },
    { kind: 'inline', values: Float32Array.of(lambda) },
  );

  graph.output(names.loss, loss);
  for (const [name, term] of Object.entries(terms)) graph.output(name, term);
  graph.output(names.logits, predictions.logits);
  if (predictions.embedding) graph.output(names.embedding, predictions.embedding);

  const outputsOf = new Map(outputStatistics(b, f, precision));
  const trained = [...f.parameters];
  const blocks: Value[] = trained.map(([, block]) => block);
  const scaling =
    precision === 'float16' ? lossScaling(b, names.lossScale, config.runtime.lossScale.initial) : null;
  const seed = scaling ? scaling.scaled(lossWeight) : lossWeight;
  for (const [i, gradient] of gradients(b, loss, blocks, seed).entries()) {
    const { name } = trained[i]![0];
    graph.output(`${prefixes.gradient}${name}`, scaling ? scaling.unscaled(gradient) : gradient);
    outputsOf.set(`${prefixes.gradient}${name}`, name);
  }
  return {
    name: graph.name,
    kind: 'query',
    width: widthLabel(width),
    graph,
    scalars: [names.lossWeight, ...(scaling ? [names.lossScale] : [])],
    outputsOf,
  };
}
