import type { Config } from '../config/schema.js';
import type { Binding, Engine, LoadedGraph, Memory, Place } from '../engines/engine.js';
import { engineOf, type EngineSource } from '../engines/openEngine.js';
import { SlimclrError } from '../errors.js';
import { rewrite } from '../graph/rewrite.js';
import { elementCount, encodeModel } from '../onnx/model.js';
import type { TensorData } from '../onnx/safetensors.js';
import { bindWeights, type Weights } from '../programs/bindWeights.js';
import { embedProgram } from '../programs/embed.js';
import { classifierInputs, finetuneProgram } from '../programs/finetune.js';
import { widthLabel } from '../nn/widthLabel.js';
import type { InputEntry } from '../programs/manifest.js';
import type { Network } from '../programs/network.js';
import type { Target } from '../targets/target.js';
import { FrozenEncoder } from './features.js';
import type { LinearClassifier } from './linearClassifier.js';
import { emittedProgram } from './openGraph.js';
import { SgdArena } from './sgdArena.js';

/** What is fine-tuned: a sub-network of these weights, and a classifier on it. */
export interface FinetuneSubject {
  readonly network: Network;
  /** `batchSize` is that of a step. */
  readonly config: Config;
  readonly width: number;
  readonly weights: Weights;
  readonly classes: number;
}

/** Learning rates of a step. */
export interface FinetuneRates {
  readonly encoder: number;
  readonly classifier: number;
}

/** A sub-network with a linear classifier, both in training: its own copy of the weights that its width uses. */
export class FinetunedNetwork {
  private constructor(
    private readonly subject: FinetuneSubject,
    private readonly engine: Engine,
    private readonly graph: LoadedGraph,
    private readonly arenas: Readonly<Record<'encoder' | 'classifier', SgdArena>>,
    private readonly data: ReadonlyMap<string, Memory>,
    /** By the name of the input; images and labels among `data`, running statistics here. */
    private readonly statistics: ReadonlyMap<string, Memory<'float32'>>,
    private readonly binding: Binding,
    private readonly loss: Memory<'float32'>,
    private readonly release: () => Promise<void>,
  ) {}

  /** The classifier starts as 0. */
  static async open(
    subject: FinetuneSubject,
    target: Target,
    on: EngineSource = subject.config.runtime,
  ): Promise<FinetunedNetwork> {
    const { network, config, width, weights, classes } = subject;
    const { name, kind, graph, outputsOf } = finetuneProgram(network, config, width, classes);
    // Bound, an input is the block of a parameter that this width uses, and its default the block's values.
    const bound = bindWeights(graph, weights);
    const program = { name, kind, width: widthLabel(width), graph: bound };
    const { entry, model, optimization } = emittedProgram(network, config, program, target);
    const { engine, release } = await engineOf(on);
    const loaded = await engine.load(encodeModel(model), { name, optimization });
    const ofClassifier = Object.values<string>(classifierInputs);
    const named = (wanted: (input: InputEntry) => boolean) =>
      entry.inputs.filter(wanted).map((input) => ({ name: input.name, shape: input.shape as number[] }));
    const arenas = {
      encoder: await SgdArena.open(
        named(({ kind }) => kind === 'parameter'),
        engine,
      ),
      classifier: await SgdArena.open(
        named(({ name }) => ofClassifier.includes(name)),
        engine,
      ),
    };
    const statistics = new Map<string, Memory<'float32'>>();
    const data = new Map<string, Memory>();
    const inputs: Record<string, Place> = {};
    for (const { name, dtype, shape, kind } of entry.inputs) {
      const arena = Object.values(arenas).find((arena) => arena.has(name));
      if (arena) {
        inputs[name] = arena.parameter(name);
        continue;
      }
      const memory = engine.allocate(dtype as 'float32', elementCount(shape as number[]));
      (kind === 'statistic' ? statistics : data).set(name, memory);
      inputs[name] = { memory, offset: 0, shape: shape as number[] };
    }
    for (const [input, fallback] of bound.defaults) {
      if (fallback.kind !== 'inline') continue;
      const values = fallback.values as Float32Array;
      const memory = statistics.get(input.name);
      if (memory) await engine.write(memory, values);
      else await arenas.encoder.write(input.name, values);
    }
    const loss = engine.allocate('float32', 1);
    const outputs: Record<string, Place> = { loss: { memory: loss, offset: 0, shape: [] } };
    for (const [output, of] of outputsOf!) {
      const arena = Object.values(arenas).find((arena) => arena.has(of));
      outputs[output] = arena ? arena.gradient(of) : inputs[of]!;
    }
    const binding = engine.bind(loaded, inputs, outputs);
    return new FinetunedNetwork(subject, engine, loaded, arenas, data, statistics, binding, loss, release);
  }

  /** One step on images `[N, 3, S, S]` and labels, int64 `[N]`. Throws a SlimclrError when the loss is not finite. */
  async step(images: Float32Array, labels: TensorData, rates: FinetuneRates): Promise<void> {
    await this.engine.write(this.data.get('images') as Memory<'float32'>, images);
    await this.engine.write(this.data.get('labels') as Memory<'int64'>, labels.data as BigInt64Array);
    await this.engine.run(this.binding);
    const [loss] = await this.engine.read(this.loss);
    if (!Number.isFinite(loss)) throw this.#diverged(`its loss is ${loss}`);
    await this.arenas.encoder.step(rates.encoder);
    await this.arenas.classifier.step(rates.classifier);
  }

  /**
   * The encoder as it is now, batch norm in eval mode; the caller closes it. Throws a SlimclrError when a weight is not
   * finite, which no loss has shown where it was the last step's doing.
   */
  async encoder(): Promise<FrozenEncoder> {
    const values = new Map<string, Float32Array>();
    for (const arena of Object.values(this.arenas)) {
      for (const { name } of arena.entries) values.set(name, await arena.read(name));
    }
    if (![...values.values()].every((part) => part.every(Number.isFinite))) {
      throw this.#diverged('a weight is not finite');
    }
    for (const [name, memory] of this.statistics) values.set(name, (await this.engine.read(memory)).slice());
    const { network, config, width, weights } = this.subject;
    const graph = rewrite(bindWeights(embedProgram(network, config, width).graph, weights), {
      replace: () => null,
      fallback: ({ name }) => ({ kind: 'inline', values: values.get(name)! }),
    });
    return FrozenEncoder.of(graph, config, width, this.engine);
  }

  /** The classifier as it is now. */
  async classifier(): Promise<LinearClassifier> {
    const weight = await this.arenas.classifier.read(classifierInputs.weight);
    const { classes } = this.subject;
    return {
      classes,
      channels: weight.length / classes,
      weight,
      bias: await this.arenas.classifier.read(classifierInputs.bias),
    };
  }

  async close(): Promise<void> {
    await this.graph.close();
    await Promise.all(Object.values(this.arenas).map((arena) => arena.close()));
    for (const memory of [...this.data.values(), ...this.statistics.values(), this.loss])
      this.engine.free(memory);
    await this.release();
  }

  #diverged(symptom: string): SlimclrError {
    const { width } = this.subject;
    return new SlimclrError(
      `fine-tuning of width ${width} diverged: ${symptom}; smaller learning rates are needed`,
    );
  }
}
