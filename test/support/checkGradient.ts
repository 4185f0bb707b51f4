import { gradients } from '../../src/autodiff.js';
import { Graph, type Value } from '../../src/graph/graph.js';
import { elementCount } from '../../src/onnx/model.js';
import { Builder } from '../../src/ops/builder.js';
import { Random } from '../../src/random.js';
import { lower } from '../../src/targets/lower.js';
import { placeOperands, type OperandType, type PlacedOperands } from './operands.js';
import { loadGraph, type LoadedGraph } from './runGraph.js';
import { normal } from './samples.js';
import { testedTargets, type TestedTarget } from './testedTargets.js';

export interface GradientInput extends Pick<OperandType, 'shape' | 'parameter'> {
  /** Draws the elements; default standard normal. Finite differences need them away from kinks. */
  readonly sample?: (random: Random, count: number) => number[];
}

/** One configuration of an operator whose gradients are compared with finite differences. */
export interface GradientCase {
  readonly title: string;
  readonly inputs: readonly GradientInput[];
  /** Adds the operator under test; returns its differentiable outputs. */
  readonly build: (b: Builder, inputs: readonly Value[]) => readonly Value[];
  /** Default float64; float32 for operators that ONNX Runtime's CPU provider has in float32 only. */
  readonly dtype?: 'float64' | 'float32';
  /** Scale of the steps: large ones for operators that are linear in each input. */
  readonly step?: number;
}

const directions = 3;
/** Error accepted relative to the norm of the gradient. */
const tolerances = { float64: 1e-7, float32: 3e-4 };
const steps = { float64: 1e-3, float32: 0.02 };

/**
 * Compares the gradients that `gradients` builds for every input with central differences, through ONNX
 * Runtime: the loss is the sum of each output times a random projection, its derivative along random
 * directions is extrapolated from two step sizes (Richardson). Sums are taken in float64.
 */
export async function checkGradient(
  test: GradientCase,
  seed: number,
  tested: TestedTarget = testedTargets[0]!,
): Promise<void> {
  const random = new Random(seed);
  const { dtype = dtypeOn(tested) } = test;
  const step = test.step ?? steps[dtype];
  const { graph, placed, projections } = gradientGraph(test, dtype, random, tested);
  const point = test.inputs.map(({ shape, sample = normal }) => sample(random, elementCount(shape)));
  const loaded = await loadGraph(graph, { ...tested, places: placed.places });
  try {
    const results = await loaded.run(placed.feeds(point));
    for (const [i, at] of point.entries()) {
      const gradient = results[`gradient${i}`]!;
      for (let d = 0; d < directions; d++) {
        const direction = normal(random, at.length);
        const lossAt = (distance: number) =>
          loss(
            loaded,
            placed,
            point.with(
              i,
              at.map((x, j) => x + distance * direction[j]!),
            ),
            projections,
          );
        const numeric = await derivative(lossAt, step);
        const analytic = dot(gradient, direction);
        const error = Math.abs(analytic - numeric) / Math.max(norm(gradient), Math.abs(numeric), 1e-30);
        if (!(error <= tolerances[dtype])) {
          throw new Error(
            `gradient of input ${i} along direction ${d}: rule ${analytic}, finite differences ${numeric} ` +
              `(error ${error.toExponential(1)}, accepted ${tolerances[dtype]}; seed ${seed})`,
          );
        }
      }
    }
  } finally {
    await loaded.release();
  }
}

/** The graph of a case's gradients, lowered: whether a target that does not run here takes it. */
export function loweredGradient(test: GradientCase, tested: TestedTarget): Graph {
  const { dtype = dtypeOn(tested) } = test;
  const { graph, placed } = gradientGraph(test, dtype, new Random(1), tested);
  return lower(graph, tested.target, placed.places);
}

/** Between layers maps are float32. */
function dtypeOn({ betweenLayers, dtype }: TestedTarget): 'float64' | 'float32' {
  return dtype ?? (betweenLayers ? 'float32' : 'float64');
}

function gradientGraph(
  test: GradientCase,
  dtype: 'float64' | 'float32',
  random: Random,
  tested: TestedTarget,
) {
  const graph = new Graph('gradient');
  const b = new Builder(graph);
  const placed = placeOperands(
    b,
    test.inputs.map(({ shape, parameter = false }) => ({ dtype, shape, parameter })),
    tested,
  );
  const outputs = test.build(b, placed.values);
  const projections = outputs.map(({ shape }) => normal(random, elementCount(shape)));
  const terms = outputs.map((output, i) => {
    graph.output(`out${i}`, output);
    const values = (output.dtype === 'float64' ? Float64Array : Float32Array).from(projections[i]!);
    const projection = graph.constant(values, output.dims, output.dtype);
    return b.op('ReduceSum', [b.op('Mul', [output, projection])], { keepdims: false });
  });
  const total = terms.reduce((sum, term) => b.op('Add', [sum, term]));
  for (const [i, gradient] of gradients(b, total, placed.values).entries())
    graph.output(`gradient${i}`, gradient);
  return { graph, placed, projections };
}

/** The projected outputs, summed in float64. */
async function loss(
  loaded: LoadedGraph,
  placed: PlacedOperands,
  point: number[][],
  projections: number[][],
): Promise<number> {
  const results = await loaded.run(placed.feeds(point));
  return projections.reduce((sum, projection, i) => sum + dot(results[`out${i}`]!, projection), 0);
}

/** f'(0) from central differences with steps h and 2h; the error is of order h^4. */
async function derivative(f: (distance: number) => Promise<number>, h: number): Promise<number> {
  const near = ((await f(h)) - (await f(-h))) / (2 * h);
  const far = ((await f(2 * h)) - (await f(-2 * h))) / (4 * h);
  return (4 * near - far) / 3;
}

function dot(a: readonly number[], b: readonly number[]): number {
  return a.reduce((sum, x, i) => sum + x * b[i]!, 0);
}

function norm(a: readonly number[]): number {
  return Math.sqrt(dot(a, a));
}
