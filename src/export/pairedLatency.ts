import { HostGraph, type EngineSource } from '../engines/hostGraph.js';
import { elementCount } from '../onnx/model.js';
import type { TensorData } from '../onnx/safetensors.js';

const warmUpRuns = 3;
/** Turns, as many as fit into the seconds, within these bounds; each model has some runs in a turn. */
const turns = { atLeast: 5, atMost: 50, seconds: 2 };
const runsInTurn = 5;

/**
 * Median milliseconds of one image under each of two models that take `images`, in turns: what slows the machine down for
 * a while slows both.
 */
export async function pairedLatency(
  models: readonly [Uint8Array, Uint8Array],
  images: TensorData,
  on: EngineSource,
): Promise<readonly [number, number]> {
  const shape = [1, ...images.shape.slice(1)];
  const data = (images.data as Float32Array).subarray(0, elementCount(shape));
  const feeds = { images: { ...images, shape, data } };
  const graphs: HostGraph[] = [];
  try {
    for (const model of models) graphs.push(await HostGraph.open(model, on));
    const times: [number[], number[]] = [[], []];
    for (const graph of graphs) for (let run = 0; run < warmUpRuns; run++) await graph.run(feeds);
    const deadline = performance.now() + 1000 * turns.seconds;
    const isEnough = (turn: number) =>
      turn >= turns.atMost || (turn >= turns.atLeast && performance.now() >= deadline);
    for (let turn = 0; !isEnough(turn); turn++) {
      for (const [i, graph] of graphs.entries()) {
        for (let run = 0; run < runsInTurn; run++) {
          const start = performance.now();
          await graph.run(feeds);
          times[i]!.push(performance.now() - start);
        }
      }
    }
    return [median(times[0]), median(times[1])];
  } finally {
    await Promise.all(graphs.map((graph) => graph.close()));
  }
}

function median(values: number[]): number {
  return values.sort((a, b) => a - b)[values.length >> 1]!;
}
