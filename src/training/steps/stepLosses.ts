import { once } from '../../once.js';
import { names } from '../../programs/names.js';
import { distilledPrediction } from '../../programs/query.js';
import type { Place, Places } from '../../engines/engine.js';
import type { ReplicaGroup } from '../../distributed/replicaGroup.js';
import type { WidthLoss } from '../events.js';
import { ScalarOutputs } from '../scalars.js';
import { DivergenceError } from './step.js';
import type { StepRunner } from './stepRunner.js';
import type { StepRun } from './stepGraphs.js';
import type { TeacherEntropy } from './teacherEntropy.js';

interface SummedLoss {
  loss: number;
  readonly terms: Record<string, number>;
  teacherEntropy?: number;
}

/** The losses of a step, summed over its passes. */
export class StepLosses {
  /** By width label: the names of what its loss is made of. */
  readonly #terms: ReadonlyMap<string, readonly string[]>;
  /** The loss and its terms, by width label. */
  readonly #scalars: ScalarOutputs;
  /** What measures the teachers' entropies, of each that teaches. */
  readonly #entropies: readonly StepRun[];
  #sums = new Map<string, SummedLoss>();

  constructor(
    private readonly runner: StepRunner,
    private readonly teacherEntropy: TeacherEntropy | null,
  ) {
    const { config, engine, graphs, manifest, outputs } = runner;
    this.#terms = new Map(
      manifest.labels.map((label) => [
        label,
        graphs
          .entry(`query.${label}`)
          .outputs.filter(
            ({ name, of, shape }) => name !== names.loss && of === undefined && shape.length === 0,
          )
          .map(({ name }) => name),
      ]),
    );
    const scalars = [...this.#terms].flatMap(([label, terms]) =>
      [names.loss, ...terms].map((name) => `${label} ${name}`),
    );
    const teaching = teacherEntropy?.teaching ?? [];
    this.#scalars = new ScalarOutputs(engine, [...scalars, ...teaching.map(entropyOf)]);
    const predicted = distilledPrediction(config.techniques.distillation);
    this.#entropies = teaching.map((label) =>
      teacherEntropy!.bind(graphs, outputs.get(label)![predicted]!, this.#scalars.place(entropyOf(label))),
    );
  }

  /** Where a width's query graph writes its losses. */
  places(label: string): Places {
    const places: Record<string, Place> = {};
    for (const name of [names.loss, ...this.#terms.get(label)!]) {
      places[name] = this.#scalars.place(`${label} ${name}`);
    }
    return places;
  }

  /** What is run behind a pass's queries of all widths. */
  get entropies(): readonly StepRun[] {
    return this.#entropies;
  }

  begin(): void {
    this.#sums = new Map();
  }

  /** Adds what a pass has written, times a factor. Throws a DivergenceError where no scale of the loss is to blame. */
  async add(labels: readonly string[], factor: number): Promise<void> {
    const { manifest, state } = this.runner;
    await this.#scalars.receive();
    const allWidths = labels.length === manifest.labels.length;
    for (const label of labels) {
      const loss = this.#scalars.get(`${label} ${names.loss}`);
      const terms = this.#terms.get(label)!.map((name) => [name, this.#scalars.get(`${label} ${name}`)]);
      const entropy = (teacher: string) => this.#scalars.get(entropyOf(teacher));
      const teacherEntropy = allWidths ? this.teacherEntropy?.of(label, entropy) : undefined;
      this.#add(
        label,
        {
          loss,
          terms: Object.fromEntries(terms) as Record<string, number>,
          ...(teacherEntropy !== undefined && { teacherEntropy }),
        },
        factor,
      );
    }
    const broken = this.firstNotFinite;
    if (broken && !state.lossScale) {
      throw new DivergenceError(
        `loss of width ${broken.label} is ${broken.loss} at step ${state.step}; ` +
          'a finite loss is needed: lower schedule.peak or lengthen schedule.warmup',
      );
    }
  }

  /** The first width, wide first, whose loss is not finite; null where all are. */
  get firstNotFinite(): { readonly label: string; readonly loss: number } | null {
    for (const [label, { loss }] of this.#sums) if (!Number.isFinite(loss)) return { label, loss };
    return null;
  }

  /** Adds those of the other replicas. */
  async join(group: ReplicaGroup): Promise<void> {
    for (const sums of (await group.gather(this.#sums)).filter((_, rank) => rank !== group.rank)) {
      for (const [label, loss] of sums) this.#add(label, loss, 1);
    }
  }

  /** By width label, of the passes since `begin`. */
  get byWidth(): Readonly<Record<string, WidthLoss>> {
    return Object.fromEntries(this.#sums);
  }

  #add(label: string, { loss, terms, teacherEntropy }: WidthLoss, factor: number): void {
    const sum = once<string, SummedLoss>(this.#sums, label, () => ({ loss: 0, terms: {} }));
    sum.loss += factor * loss;
    for (const [name, term] of Object.entries(terms)) {
      sum.terms[name] = (sum.terms[name] ?? 0) + factor * term;
    }
    if (teacherEntropy !== undefined)
      sum.teacherEntropy = (sum.teacherEntropy ?? 0) + factor * teacherEntropy;
  }
}

/** The scalar that the entropy of a teacher is written to. */
function entropyOf(label: string): string {
  return `${label} entropy of predictions`;
}
