import type { Binding, Engine, Memory, Place } from '../engines/engine.js';
import { engineOf, type EngineSource } from '../engines/openEngine.js';
import type { Graph } from '../graph/graph.js';
import { cut } from '../graph/region.js';
import { widthLabel } from '../nn/widthLabel.js';
import { encodeModel } from '../onnx/model.js';
import type { TensorData } from '../onnx/safetensors.js';
import { probeProgram, sharedProbeProgram, type SharedProbeOptions } from '../programs/probe.js';
import type { LinearClassifier } from './linearClassifier.js';
import { emitted } from './openGraph.js';
import { SgdArena } from './sgdArena.js';

export type ProbeShape = SharedProbeOptions;

/** The linear layers of all widths while they train; their weights start as 0. */
export interface ProbeLayers {
  /** One step on features `[N, C_w]` of every width and labels, int64 `[N]`. */
  step(features: readonly TensorData[], labels: TensorData, learningRate: number): Promise<void>;
  /** The classifiers as they are now, of features as `step` gets them. */
  classifiers(): Promise<LinearClassifier[]>;
  close(): Promise<void>;
}

/** Of what an engine is too large for. */
export interface ProbeThreads {
  readonly threads?: number;
}

/** What the layers of both kinds share: places of features and labels with an engine. */
class ProbeInputs {
  readonly #features: readonly Memory<'float32'>[];
  readonly #labels: Memory<'int64'>;

  constructor(
    readonly engine: Engine,
    private readonly shape: ProbeShape,
    private readonly release: () => Promise<void>,
  ) {
    const { widths, batchSize } = shape;
    this.#features = widths.map(({ channels }) => engine.allocate('float32', batchSize * channels));
    this.#labels = engine.allocate('int64', batchSize);
  }

  get labels(): Place {
    return { memory: this.#labels, offset: 0, shape: [this.shape.batchSize] };
  }

  /** `[N, C_w]` of the i-th width. */
  features(i: number): Place {
    const { widths, batchSize } = this.shape;
    return { memory: this.#features[i]!, offset: 0, shape: [batchSize, widths[i]!.channels] };
  }

  async write(features: readonly TensorData[], labels: TensorData): Promise<void> {
    for (const [i, { data }] of features.entries()) {
      await this.engine.write(this.#features[i]!, data as Float32Array);
    }
    await this.engine.write(this.#labels, labels.data as BigInt64Array);
  }

  /** Ends what the layers hold, then the engine where it is their own. */
  async close(
    graphs: readonly { close(): Promise<void> }[],
    memories: readonly Memory[] = [],
  ): Promise<void> {
    for (const graph of graphs) await graph.close();
    for (const memory of [...this.#features, this.#labels, ...memories]) this.engine.free(memory);
    await this.release();
  }

  /** A graph, and the layer that its gradients are of. */
  async open(
    graph: Graph,
    { classes, channels }: { classes: number; channels: number },
    options: ProbeThreads,
  ) {
    const { model, optimization } = emitted(graph);
    const entries = [
      { name: 'weight', shape: [classes, channels] },
      { name: 'bias', shape: [classes] },
    ];
    return {
      graph: await this.engine.load(encodeModel(model), { name: graph.name, optimization, ...options }),
      arena: await SgdArena.open(entries, this.engine, options.threads),
    };
  }
}

type OpenLayer = Awaited<ReturnType<ProbeInputs['open']>>;

/** A layer for each width; the full width's scores teach the others. */
export class SwitchableLayers implements ProbeLayers {
  private constructor(
    private readonly shape: ProbeShape,
    private readonly inputs: ProbeInputs,
    private readonly layers: readonly (OpenLayer & { readonly step: Binding })[],
    /** Scores `[N, classes]` of the last step, before its update. */
    private readonly logits: readonly Memory[],
  ) {}

  static async open(
    shape: ProbeShape,
    on: EngineSource,
    options: ProbeThreads = {},
  ): Promise<SwitchableLayers> {
    const { widths, classes, batchSize } = shape;
    const { engine, release } = await engineOf(on);
    const inputs = new ProbeInputs(engine, shape, release);
    const logits = widths.map(() => engine.allocate('float32', batchSize * classes));
    const scores = (i: number): Place => ({ memory: logits[i]!, offset: 0, shape: [batchSize, classes] });
    const layers: (OpenLayer & { readonly step: Binding })[] = [];
    for (const [i, { width, channels }] of widths.entries()) {
      const program = probeProgram({ width, channels, classes, batchSize, distilled: i > 0 });
      const layer = await inputs.open(program.graph, { classes, channels }, options);
      const step = engine.bind(
        layer.graph,
        {
          features: inputs.features(i),
          labels: inputs.labels,
          ...weights(layer.arena),
          ...(i > 0 && { teacher_logits: scores(0) }),
        },
        { logits: scores(i), ...gradients(layer.arena) },
      );
      layers.push({ ...layer, step });
    }
    return new SwitchableLayers(shape, inputs, layers, logits);
  }

  async step(features: readonly TensorData[], labels: TensorData, learningRate: number): Promise<void> {
    await this.inputs.write(features, labels);
    for (const { arena, step } of this.layers) {
      await this.inputs.engine.run(step);
      await arena.step(learningRate);
    }
  }

  classifiers(): Promise<LinearClassifier[]> {
    const { widths, classes } = this.shape;
    return Promise.all(
      this.layers.map(async ({ arena }, i) => ({
        classes,
        channels: widths[i]!.channels,
        weight: await arena.read('weight'),
        bias: await arena.read('bias'),
      })),
    );
  }

  close(): Promise<void> {
    return this.inputs.close(
      this.layers.flatMap(({ graph, arena }) => [graph, arena]),
      this.logits,
    );
  }
}

/** One slimmable layer: every width uses the columns of its channels, and the bias. */
export class SharedLayer implements ProbeLayers {
  private constructor(
    private readonly shape: ProbeShape,
    private readonly inputs: ProbeInputs,
    private readonly layer: OpenLayer,
    private readonly binding: Binding,
  ) {}

  static async open(shape: ProbeShape, on: EngineSource, options: ProbeThreads = {}): Promise<SharedLayer> {
    const { engine, release } = await engineOf(on);
    const { classes, widths } = shape;
    const inputs = new ProbeInputs(engine, shape, release);
    const { graph } = sharedProbeProgram(shape);
    const layer = await inputs.open(graph, { classes, channels: widths[0]!.channels }, options);
    const features = widths.map(
      ({ width }, i) => [`features.${widthLabel(width)}`, inputs.features(i)] as const,
    );
    const binding = engine.bind(
      layer.graph,
      { ...Object.fromEntries(features), labels: inputs.labels, ...weights(layer.arena) },
      gradients(layer.arena),
    );
    return new SharedLayer(shape, inputs, layer, binding);
  }

  async step(features: readonly TensorData[], labels: TensorData, learningRate: number): Promise<void> {
    await this.inputs.write(features, labels);
    await this.inputs.engine.run(this.binding);
    await this.layer.arena.step(learningRate);
  }

  async classifiers(): Promise<LinearClassifier[]> {
    const { widths, classes } = this.shape;
    const full = widths[0]!.channels;
    const weight = await this.layer.arena.read('weight');
    const bias = await this.layer.arena.read('bias');
    return widths.map(({ channels, start = 0 }) => ({
      classes,
      channels,
      weight: cut(weight, [classes, full], { start: [0, start], shape: [classes, channels] }).slice(),
      bias: bias.slice(),
    }));
  }

  close(): Promise<void> {
    return this.inputs.close([this.layer.graph, this.layer.arena]);
  }
}

function weights(arena: SgdArena): Record<string, Place> {
  return { weight: arena.parameter('weight'), bias: arena.parameter('bias') };
}

function gradients(arena: SgdArena): Record<string, Place> {
  return { 'grad.weight': arena.gradient('weight'), 'grad.bias': arena.gradient('bias') };
}
