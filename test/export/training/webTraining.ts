import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { repository } from '../../package/tarball.js';
import type { Batch } from './ownSteps.js';

/** What is used of onnxruntime-web 1.19.2's training build. */
interface TrainingRuntime {
  readonly env: { readonly wasm: object };
  readonly Tensor: new (type: string, data: Float32Array | BigInt64Array, dims: readonly number[]) => unknown;
  readonly TrainingSession: {
    create(options: Record<string, Uint8Array>): Promise<TrainingSession>;
  };
}
type Outputs = Readonly<Record<string, { readonly data: Float32Array }>>;
interface TrainingSession {
  runTrainStep(feeds: Record<string, unknown>): Promise<Outputs>;
  runOptimizerStep(): Promise<void>;
  lazyResetGrad(): Promise<void>;
  runEvalStep(feeds: Record<string, unknown>): Promise<Outputs>;
  release(): Promise<void>;
}

const dist = join(repository, 'node_modules/onnxruntime-web-training/dist');
const url = (name: string) => pathToFileURL(join(dist, name)).href;

/** Fine-tunes a folder of artifacts in WebAssembly: the losses, and those and the logits of the first batch after all. */
export async function trainInWebAssembly(folder: string, batches: readonly Batch[]) {
  const { env, Tensor, TrainingSession } = (await import(
    url('ort.training.wasm.min.mjs')
  )) as TrainingRuntime;
  const binary = 'ort-training-wasm-simd-threaded';
  Object.assign(env.wasm, {
    numThreads: 1,
    wasmBinary: readFileSync(join(dist, `${binary}.wasm`)),
    wasmPaths: { mjs: url(`${binary}.mjs`), wasm: url(`${binary}.wasm`) },
  });
  const file = (name: string) => new Uint8Array(readFileSync(join(folder, name)));
  const session = await TrainingSession.create({
    checkpointState: file('checkpoint'),
    trainModel: file('training_model.onnx'),
    evalModel: file('eval_model.onnx'),
    optimizerModel: file('optimizer_model.onnx'),
  });
  const feeds = ({ images, labels }: Batch) => {
    const size = Math.sqrt(images.length / (3 * labels.length));
    return {
      images: new Tensor('float32', images, [labels.length, 3, size, size]),
      labels: new Tensor('int64', BigInt64Array.from(labels, BigInt), [labels.length]),
    };
  };
  const losses: number[] = [];
  for (const batch of batches) {
    losses.push((await session.runTrainStep(feeds(batch)))['loss']!.data[0]!);
    await session.runOptimizerStep();
    await session.lazyResetGrad();
  }
  const { loss, logits } = await session.runEvalStep(feeds(batches[0]!));
  await session.release();
  return { losses, loss: loss!.data[0]!, logits: Array.from(logits!.data) };
}
