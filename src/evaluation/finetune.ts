import type { Config } from '../config/schema.js';
import { SlimclrError } from '../errors.js';
import { rewrite } from '../graph/rewrite.js';
import { bindWeights, type Weights } from '../programs/bindWeights.js';
import { embedProgram } from '../programs/embed.js';
import { classifierInputs, finetuneProgram } from '../programs/finetune.js';
import { widthLabel } from '../nn/widthLabel.js';
import type { Network } from '../programs/network.js';
import { Arena } from '../runtime/arena.js';
import { scalarTensor, type Session, type Tensor } from '../runtime/session.js';
import type { Target } from '../targets/target.js';
import { FrozenEncoder } from './features.js';
import type { LinearClassifier } from './linearClassifier.js';
import { openProgram } from './openGraph.js';
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
  readonly #feeds: Readonly<Record<string, Tensor>>;
  readonly #fetches: Readonly<Record<string, Tensor>>;
  readonly #loss = scalarTensor(0);

  private constructor(
    private readonly subject: FinetuneSubject,
    private readonly session: Session,
    private readonly arena: SgdArena,
    private readonly statistics: Arena,
    outputsOf: ReadonlyMap<string, string>,
  ) {
    const { gradients, parameters } = arena;
    this.#feeds = Object.fromEntries(
      [parameters, statistics].flatMap((part) => part.entries.map(({ name }) => [name, part.tensor(name)])),
    );
    this.#fetches = {
      loss: this.#loss,
      ...Object.fromEntries(
        Array.from(outputsOf, ([output, of]) => [
          output,
          (gradients.has(of) ? gradients : statistics).tensor(of),
        ]),
      ),
    };
  }

  /** The classifier starts as 0. */
  static async open(subject: FinetuneSubject, target: Target): Promise<FinetunedNetwork> {
    const { network, config, width, weights, classes } = subject;
    const { name, kind, graph, outputsOf } = finetuneProgram(network, config, width, classes);
    // Bound, an input is the block of a parameter that this width uses, and its default the block's values.
    const bound = bindWeights(graph, weights);
    const session = await openProgram(
      network,
      config,
      { name, kind, width: widthLabel(width), graph: bound },
      target,
    );
    const entries = (wanted: (input: Session['entry']['inputs'][number]) => boolean) =>
      session.entry.inputs
        .filter(wanted)
        .map((input) => ({ name: input.name, shape: input.shape as number[] }));
    const statistics = new Arena(entries((input) => input.kind === 'statistic'));
    const ofClassifier = Object.values<string>(classifierInputs);
    const arena = await SgdArena.open(
      [
        ...entries((input) => input.kind === 'parameter'),
        ...entries((input) => ofClassifier.includes(input.name)),
      ],
      config.runtime,
    );
    for (const [input, fallback] of bound.defaults) {
      if (fallback.kind !== 'inline') continue;
      const part = statistics.has(input.name) ? statistics : arena.parameters;
      part.view(input.name).set(fallback.values as Float32Array);
    }
    return new FinetunedNetwork(subject, session, arena, statistics, outputsOf!);
  }

  /** One step on images `[N, 3, S, S]` and labels, int64 `[N]`. Throws a SlimclrError when the loss is not finite. */
  async step(images: Tensor, labels: Tensor, rates: FinetuneRates): Promise<void> {
    await this.session.runInto({ ...this.#feeds, images, labels }, this.#fetches);
    const [loss] = this.#loss.data as Float32Array;
    if (!Number.isFinite(loss)) throw this.#diverged(`its loss is ${loss}`);
    const classifier = this.arena.parameters.offset(classifierInputs.weight);
    await this.arena.step(rates.encoder, 0, classifier);
    await this.arena.step(rates.classifier, classifier);
  }

  /**
   * The encoder as it is now, batch norm in eval mode; the caller closes it. Throws a SlimclrError when a weight is not
   * finite, which no loss has shown where it was the last step's doing.
   */
  async encoder(): Promise<FrozenEncoder> {
    if (!this.arena.parameters.data.every(Number.isFinite)) throw this.#diverged('a weight is not finite');
    const { network, config, width, weights } = this.subject;
    const graph = rewrite(bindWeights(embedProgram(network, config, width).graph, weights), {
      replace: () => null,
      fallback: ({ name }) => {
        const part = this.statistics.has(name) ? this.statistics : this.arena.parameters;
        return { kind: 'inline', values: part.view(name) };
      },
    });
    return FrozenEncoder.of(graph, config, width);
  }

  /** The classifier as it is now. */
  classifier(): LinearClassifier {
    const { parameters } = this.arena;
    const weight = parameters.view(classifierInputs.weight).slice();
    const { classes } = this.subject;
    return {
      classes,
      channels: weight.length / classes,
      weight,
      bias: parameters.view(classifierInputs.bias).slice(),
    };
  }

  async close(): Promise<void> {
    await Promise.all([this.session.close(), this.arena.close()]);
  }

  #diverged(symptom: string): SlimclrError {
    const { width } = this.subject;
    return new SlimclrError(
      `fine-tuning of width ${width} diverged: ${symptom}; smaller learning rates are needed`,
    );
  }
}
