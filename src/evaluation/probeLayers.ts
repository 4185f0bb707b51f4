import { cut } from '../graph/region.js';
import { widthLabel } from '../nn/widthLabel.js';
import { probeProgram, sharedProbeProgram, type SharedProbeOptions } from '../programs/probe.js';
import type { InferenceSession } from '../runtime/onnxRuntime.js';
import { floatTensor, type RuntimeOptions, type Tensor } from '../runtime/session.js';
import type { LinearClassifier } from './linearClassifier.js';
import { openGraph } from './openGraph.js';
import { SgdArena } from './sgdArena.js';

export type ProbeShape = SharedProbeOptions;

/** The linear layers of all widths while they train; their weights start as 0. */
export interface ProbeLayers {
  /** One step on features `[N, C_w]` of every width and labels, int64 `[N]`. */
  step(features: readonly Tensor[], labels: Tensor, learningRate: number): Promise<void>;
  /** The classifiers as they are now, of features as `step` gets them. */
  classifiers(): LinearClassifier[];
  close(): Promise<void>;
}

interface WidthLayer {
  readonly session: InferenceSession;
  readonly arena: SgdArena;
  /** Scores `[N, classes]` of the last step, before its update. */
  readonly logits: Tensor;
}

/** A layer for each width; the full width's scores teach the others. */
export class SwitchableLayers implements ProbeLayers {
  private constructor(
    private readonly shape: ProbeShape,
    private readonly layers: readonly WidthLayer[],
  ) {}

  static async open(shape: ProbeShape, runtime: RuntimeOptions): Promise<SwitchableLayers> {
    const { widths, classes, batchSize } = shape;
    const layers = widths.map(async ({ width, channels }, i) => {
      const program = probeProgram({ width, channels, classes, batchSize, distilled: i > 0 });
      return {
        session: await openGraph(program.graph, runtime),
        arena: await openLayer(classes, channels, runtime),
        logits: floatTensor(new Float32Array(batchSize * classes), [batchSize, classes]),
      };
    });
    return new SwitchableLayers(shape, await Promise.all(layers));
  }

  async step(features: readonly Tensor[], labels: Tensor, learningRate: number): Promise<void> {
    for (const [i, { session, arena, logits }] of this.layers.entries()) {
      await session.run(
        {
          features: features[i]!,
          labels,
          ...weights(arena),
          ...(i > 0 && { teacher_logits: this.layers[0]!.logits }),
        },
        { logits, ...gradients(arena) },
      );
      await arena.step(learningRate);
    }
  }

  classifiers(): LinearClassifier[] {
    return this.layers.map(({ arena }, i) => {
      const { channels } = this.shape.widths[i]!;
      return {
        classes: this.shape.classes,
        channels,
        weight: arena.parameters.view('weight').slice(),
        bias: arena.parameters.view('bias').slice(),
      };
    });
  }

  async close(): Promise<void> {
    await Promise.all(this.layers.flatMap(({ session, arena }) => [session.release(), arena.close()]));
  }
}

/** One slimmable layer: every width uses the columns of its channels, and the bias. */
export class SharedLayer implements ProbeLayers {
  private constructor(
    private readonly shape: ProbeShape,
    private readonly session: InferenceSession,
    private readonly arena: SgdArena,
  ) {}

  static async open(shape: ProbeShape, runtime: RuntimeOptions): Promise<SharedLayer> {
    const session = await openGraph(sharedProbeProgram(shape).graph, runtime);
    return new SharedLayer(
      shape,
      session,
      await openLayer(shape.classes, shape.widths[0]!.channels, runtime),
    );
  }

  async step(features: readonly Tensor[], labels: Tensor, learningRate: number): Promise<void> {
    const { widths } = this.shape;
    const inputs = widths.map(({ width }, i) => [`features.${widthLabel(width)}`, features[i]!] as const);
    const feeds = { ...Object.fromEntries(inputs), labels, ...weights(this.arena) };
    await this.session.run(feeds, gradients(this.arena));
    await this.arena.step(learningRate);
  }

  classifiers(): LinearClassifier[] {
    const { widths, classes } = this.shape;
    const full = widths[0]!.channels;
    const weight = this.arena.parameters.view('weight');
    return widths.map(({ channels, start = 0 }) => ({
      classes,
      channels,
      weight: cut(weight, [classes, full], { start: [0, start], shape: [classes, channels] }).slice(),
      bias: this.arena.parameters.view('bias').slice(),
    }));
  }

  async close(): Promise<void> {
    await Promise.all([this.session.release(), this.arena.close()]);
  }
}

function openLayer(classes: number, channels: number, runtime: RuntimeOptions): Promise<SgdArena> {
  const entries = [
    { name: 'weight', shape: [classes, channels] },
    { name: 'bias', shape: [classes] },
  ];
  return SgdArena.open(entries, runtime);
}

function weights({ parameters }: SgdArena): Record<string, Tensor> {
  return { weight: parameters.tensor('weight'), bias: parameters.tensor('bias') };
}

function gradients({ gradients: arena }: SgdArena): Record<string, Tensor> {
  return { 'grad.weight': arena.tensor('weight'), 'grad.bias': arena.tensor('bias') };
}
