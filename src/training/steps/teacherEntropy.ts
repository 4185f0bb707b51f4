import type { Config } from '../../config/schema.js';
import type { DistillationOf } from '../../config/techniques.js';
import type { Place } from '../../engines/engine.js';
import { Graph } from '../../graph/graph.js';
import { softmaxEntropy } from '../../losses/softmaxEntropy.js';
import { widthLabel } from '../../nn/widthLabel.js';
import { encodeModel } from '../../onnx/model.js';
import { Builder } from '../../ops/builder.js';
import { emitFrozen } from '../../programs/emitFrozen.js';
import type { Manifest } from '../../programs/manifest.js';
import { distilledPrediction, teachersOf } from '../../programs/query.js';
import { portable } from '../../targets/portable.js';
import type { StepGraphs, StepRun } from './stepGraphs.js';

const program = 'entropy';

/**
 * What soft distillation (`kd-logits`, `kd-features`) cannot take away from its loss: `T_s^2` times the entropy of what
 * the teachers predict. The loss is a cross entropy; less this it is the divergence from the teachers, 0 for a student
 * that predicts the same. Over a queue of 65536 keys at temperature 5 it is nearly all of the loss, 277 nats. The
 * other kinds are divergences already. The engine computes it: predictions are megabytes.
 */
export class TeacherEntropy {
  private constructor(
    private readonly soft: DistillationOf<'kd-logits' | 'kd-features'>,
    /** The teachers of each width, by its label. */
    private readonly teachers: ReadonlyMap<string, readonly string[]>,
  ) {}

  /** Adds its graph to those of a step. Null where nothing is measured. */
  static async open(graphs: StepGraphs, manifest: Manifest, config: Config): Promise<TeacherEntropy | null> {
    const { distillation } = config.techniques;
    if (distillation.kind !== 'kd-logits' && distillation.kind !== 'kd-features') return null;
    const teachers = new Map(
      config.widths.map((width) => [widthLabel(width), teachersOf(width, config).map(widthLabel)]),
    );
    // Predictions of all widths are of one shape.
    const predicted = manifest.graphs
      .find(({ kind }) => kind === 'query')!
      .outputs.find(({ name }) => name === distilledPrediction(distillation))!;
    const graph = new Graph(program);
    const shape = predicted.shape as number[];
    const prediction = graph.input('prediction', { dtype: 'float32', shape });
    const b = new Builder(graph);
    graph.output('entropy', softmaxEntropy(b, prediction, distillation.teacherTemperature));
    await graphs.add(program, encodeModel(emitFrozen(graph, portable)), portable);
    return new TeacherEntropy(distillation, teachers);
  }

  /** Labels of the widths that teach others. */
  get teaching(): readonly string[] {
    return [...new Set([...this.teachers.values()].flat())];
  }

  /** A run that writes the entropy of what a teacher predicts. */
  bind(graphs: StepGraphs, prediction: Place, entropy: Place): StepRun {
    return graphs.bind(program, { prediction }, { entropy });
  }

  /** Of a width, averaged over its teachers, given the entropy of each; undefined where it has none. */
  of(label: string, entropyOf: (teacher: string) => number): number | undefined {
    const teachers = this.teachers.get(label)!;
    if (teachers.length === 0) return undefined;
    const sum = teachers.reduce((total, teacher) => total + entropyOf(teacher), 0);
    return (this.soft.studentTemperature ** 2 * sum) / teachers.length;
  }
}
