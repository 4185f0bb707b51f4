import { gradients } from '../autodiff.js';
import type { Engine } from '../engines/engine.js';
import type { EngineOptions } from '../engines/engineOptions.js';
import { floats, HostGraph, int64Vector } from '../engines/hostGraph.js';
import { openEngine } from '../engines/openEngine.js';
import { isBuiltForTraining } from '../engines/trainingProbe.js';
import { Graph } from '../graph/graph.js';
import { elementCount } from '../onnx/model.js';
import { Builder } from '../ops/builder.js';
import { Random } from '../random.js';
import { emit } from '../targets/emit.js';
import { lower } from '../targets/lower.js';
import { portable } from '../targets/portable.js';
import { version } from '../version.js';

/*
 * The child process of engineReports.ts: runs a small training graph on the engine that its argument describes and
 * sends the numbers, or why it failed. A process of its own, because a provider may take its process down with it.
 */

export interface Trial {
  readonly values: readonly number[];
  readonly version: string;
  readonly python: string | null;
  readonly trainingOperators: boolean;
}

export type TrialMessage = Trial | { readonly error: string };

const batchSize = 2;
const parameterShapes = { weight: [4, 3, 3, 3], gamma: [4], beta: [4], head: [5, 4] } as const;

try {
  const options = JSON.parse(process.argv[2]!) as EngineOptions;
  const engine = await openEngine(options);
  const { version, python = null } = engine.facts;
  const message: Trial = {
    values: await trial(engine),
    version,
    python,
    trainingOperators: await isBuiltForTraining(options),
  };
  process.send!(message);
  await engine.close();
} catch (error) {
  process.send!({ error: (error as Error).message });
}

/** Loss and gradients of one step: convolution, batch norm, ReLU, pooling, a linear layer, cross entropy. */
async function trial(engine: Engine): Promise<number[]> {
  const model = emit(lower(trainingGraph(), portable), { opset: portable.opset, version });
  const graph = await HostGraph.open(model, engine);
  const random = new Random(1);
  const normal = (shape: readonly number[]) =>
    floats(
      Float32Array.from({ length: elementCount(shape) }, () => random.normal()),
      shape,
    );
  const parameters = Object.entries(parameterShapes).map(([name, shape]) => [name, normal(shape)] as const);
  const outputs = await graph.run({
    images: normal([batchSize, 3, 8, 8]),
    labels: int64Vector([0, 3]),
    ...Object.fromEntries(parameters),
  });
  return Object.values(outputs).flatMap(({ data }) => Array.from(data as Float32Array));
}

function trainingGraph(): Graph {
  const graph = new Graph('trial');
  const b = new Builder(graph);
  const input = (name: string, shape: readonly number[]) => graph.input(name, { dtype: 'float32', shape });
  const images = input('images', [batchSize, 3, 8, 8]);
  const labels = graph.input('labels', { dtype: 'int64', shape: [batchSize] });
  const weight = input('weight', parameterShapes.weight);
  const gamma = input('gamma', parameterShapes.gamma);
  const beta = input('beta', parameterShapes.beta);
  const head = input('head', parameterShapes.head);

  const convolved = b.op('Conv', [images, weight], { strides: [1, 1], pads: [1, 1, 1, 1], group: 1 }); // [N, 4, 8, 8]
  const normalized = b.op('BatchNormTrain', [convolved, gamma, beta], { epsilon: 1e-5 });
  const features = b.op('Flatten', [b.op('GlobalAveragePool', [b.op('Relu', [normalized])])]); // [N, 4]
  const logits = b.op('Gemm', [features, head], { transB: true }); // [N, 5]
  const losses = b.op('SoftmaxCrossEntropy', [logits, labels]);
  const loss = b.op('ReduceMean', [losses], { keepdims: false });
  graph.output('loss', loss);
  const parameters = [weight, gamma, beta, head];
  for (const [i, gradient] of gradients(b, loss, parameters).entries()) {
    graph.output(`grad.${parameters[i]!.name}`, gradient);
  }
  return graph;
}
