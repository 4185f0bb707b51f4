import type { Config } from '../../config/schema.js';
import type { DistillationOf } from '../../config/techniques.js';
import { softmaxEntropy } from '../../diagnostics/softmaxEntropy.js';
import { widthLabel } from '../../nn/widthLabel.js';
import { distilledPrediction, teachersOf } from '../../programs/query.js';
import type { StepRunner } from './stepRunner.js';

/**
 * What soft distillation (`kd-logits`, `kd-features`) cannot take away from its loss: `T_s^2` times the entropy of what
 * the teachers predict. The loss is a cross entropy; less this it is the divergence from the teachers, 0 for a student
 * that predicts the same. Over a queue of 65536 keys at temperature 5 it is nearly all of the loss, 277 nats. The
 * other kinds are divergences already.
 */
export class TeacherEntropy {
  /** Null where nothing is measured. */
  readonly #soft: DistillationOf<'kd-logits' | 'kd-features'> | null;
  /** The teachers of each width, by its label. */
  readonly #teachers: ReadonlyMap<string, readonly string[]>;
  /** Of the latest pass, by the teacher's label. */
  readonly #entropies = new Map<string, number>();

  constructor(config: Config) {
    const { distillation } = config.techniques;
    this.#soft =
      distillation.kind === 'kd-logits' || distillation.kind === 'kd-features' ? distillation : null;
    this.#teachers = new Map(
      config.widths.map((width) => [widthLabel(width), teachersOf(width, config).map(widthLabel)]),
    );
  }

  /** Takes what a width predicted in a pass, where it teaches another. */
  async record(label: string, { engine, outputs }: Pick<StepRunner, 'engine' | 'outputs'>): Promise<void> {
    if (!this.#soft || ![...this.#teachers.values()].some((teachers) => teachers.includes(label))) return;
    const { memory, shape } = outputs.get(label)![distilledPrediction(this.#soft)]!;
    const values = (await engine.read(memory)) as Float32Array;
    this.#entropies.set(label, softmaxEntropy(values, shape[1]!, this.#soft.teacherTemperature));
  }

  /** Averaged over the teachers of a width that were recorded; undefined where none is or nothing is measured. */
  of(label: string): number | undefined {
    const teachers = this.#teachers.get(label)!;
    if (!this.#soft || teachers.length === 0) return undefined;
    const sum = teachers.reduce((total, teacher) => total + this.#entropies.get(teacher)!, 0);
    return (this.#soft.studentTemperature ** 2 * sum) / teachers.length;
  }
}
