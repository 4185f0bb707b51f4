import { gradients } from '../../src/autodiff.js';
import {
  distillationLoss,
  type ActiveDistillation,
  type DistillationTarget,
} from '../../src/losses/distillation.js';
import type { Builder } from '../../src/ops/builder.js';
import { checkGradient } from '../support/checkGradient.js';
import { evaluate, type Operand } from '../support/evaluate.js';
import { expectClose } from '../support/expectClose.js';
import { constantOf, float64, normalFloat64 } from '../support/float64.js';
import { labelsOf } from '../support/labels.js';
import { mean, rows, softmax, sum } from '../support/matrix.js';

const shared = { weight: 0.5, teachers: 'full' } as const;
const temperatures = { teacherTemperature: 4, studentTemperature: 2 };
const dkd = { kind: 'dkd', ...shared, alpha: 0.7, beta: 1.5, temperature: 2 } as const;
const atkd = { kind: 'atkd', ...shared, multiplier: 3, temperature: 2 } as const;

const [r, c] = [4, 5];
const labels = [3, 0, 4, 1];
const firstColumn = () => ({ kind: 'first-column' }) as const;
const labelled = (b: Builder): DistillationTarget => ({ kind: 'labels', labels: labelsOf(b, labels) });

/** A row's loss by the formula of the variant; `right` is the index of the right class. */
type Formula = (student: readonly number[], teacher: readonly number[], right: number) => number;

const cases: readonly (readonly [string, ActiveDistillation, Formula])[] = [
  ['kd-logits', { kind: 'kd-logits', ...shared, ...temperatures }, kdFormula],
  ['kd-features', { kind: 'kd-features', ...shared, ...temperatures }, kdFormula],
  ['mse-logits', { kind: 'mse-logits', ...shared }, meanSquareFormula],
  ['mse-features', { kind: 'mse-features', ...shared }, meanSquareFormula],
  ['dkd', dkd, dkdFormula],
  ['atkd', atkd, atkdFormula],
];

/** `-sum softmax(t / Tt) log softmax(s / Ts) Ts^2`. */
function kdFormula(student: readonly number[], teacher: readonly number[]): number {
  const prediction = softmax(student, 2);
  return -sum(softmax(teacher, 4).map((p, j) => p * Math.log(prediction[j]!))) * 2 ** 2;
}

function meanSquareFormula(student: readonly number[], teacher: readonly number[]): number {
  return mean(student.map((s, j) => (s - teacher[j]!) ** 2));
}

/** Zhao et al., 2022, equations 1, 2, 5 and 7: b = [p_t, p_\t], p^ over the classes but t. */
function dkdFormula(student: readonly number[], teacher: readonly number[], right: number): number {
  const parts = [student, teacher].map((logits) => {
    const powers = logits.map((z) => Math.exp(z / dkd.temperature));
    const others = powers.filter((_, j) => j !== right);
    return {
      binary: [powers[right]! / sum(powers), sum(others) / sum(powers)],
      others: others.map((power) => power / sum(others)),
    };
  });
  const [s, t] = parts as [(typeof parts)[0], (typeof parts)[0]];
  const loss = dkd.alpha * kl(t.binary, s.binary) + dkd.beta * kl(t.others, s.others);
  return loss * dkd.temperature ** 2;
}

function atkdFormula(student: readonly number[], teacher: readonly number[]): number {
  const [s, t] = [student, teacher].map((logits) => {
    const centre = mean(logits);
    const deviation = Math.sqrt(mean(logits.map((x) => (x - centre) ** 2)) + 1e-5);
    return softmax(
      logits.map((x) => (atkd.multiplier * (x - centre)) / deviation),
      atkd.temperature,
    );
  }) as [number[], number[]];
  return kl(t, s) * atkd.temperature ** 2;
}

/** KL(p || q). */
function kl(p: readonly number[], q: readonly number[]): number {
  return sum(p.map((value, j) => value * Math.log(value / q[j]!)));
}

function expectedLoss(
  formula: Formula,
  student: Operand,
  teacher: Operand,
  right: readonly number[],
): number {
  const taught = rows(teacher.values, c);
  return mean(rows(student.values, c).map((row, n) => formula(row, taught[n]!, right[n]!)));
}

async function lossOf(
  options: ActiveDistillation,
  operands: readonly Operand[],
  target: (b: Builder) => DistillationTarget = firstColumn,
): Promise<number[]> {
  const [loss] = await evaluate(operands, (b, [student, ...teachers]) => [
    distillationLoss(b, student!, teachers, target(b), options),
  ]);
  return loss!;
}

describe('distillationLoss', () => {
  const student = normalFloat64([r, c], 1);
  const teachers = [2, 3, 4].map((seed) => normalFloat64([r, c], seed));
  const first = new Array<number>(r).fill(0);

  for (const [title, options, formula] of cases) {
    it(`${title}: one teacher, the formula averaged by a loop`, async () => {
      const expected = expectedLoss(formula, student, teachers[0]!, first);
      expectClose(await lossOf(options, [student, teachers[0]!]), [expected], 1e-13);
    });

    it(`${title}: three teachers, the mean of their losses`, async () => {
      const expected = mean(teachers.map((teacher) => expectedLoss(formula, student, teacher, first)));
      expectClose(await lossOf(options, [student, ...teachers]), [expected], 1e-13);
    });

    it(`${title}: gradient of the student equals finite differences`, () =>
      checkGradient(
        {
          title,
          inputs: [{ shape: [r, c] }],
          build: (b, [s]) => [
            distillationLoss(
              b,
              s!,
              teachers.map((t) => constantOf(b, t)),
              firstColumn(),
              options,
            ),
          ],
        },
        1,
      ));
  }

  for (const [title, options] of cases.filter(([title]) => !title.startsWith('kd'))) {
    it(`${title}: a student that equals its teacher has loss 0`, async () => {
      expectClose(await lossOf(options, [student, student]), [0], 1e-14);
    });
  }

  it('dkd with labels: the formula with the class that each row names', async () => {
    const expected = expectedLoss(dkdFormula, student, teachers[0]!, labels);
    expectClose(await lossOf(dkd, [student, teachers[0]!], labelled), [expected], 1e-13);
  });

  it('dkd with labels: gradient of the student equals finite differences', () =>
    checkGradient(
      {
        title: 'dkd',
        inputs: [{ shape: [r, c] }],
        build: (b, [s]) => [distillationLoss(b, s!, [constantOf(b, teachers[0]!)], labelled(b), dkd)],
      },
      1,
    ));

  it("dkd with alpha 1 and beta the teacher's 1 - p: plain KL divergence (equation 6)", async () => {
    const [s, t] = [
      float64([1, c], student.values.slice(0, c)),
      float64([1, c], teachers[0]!.values.slice(0, c)),
    ];
    const p = softmax(t.values);
    const options = { ...dkd, alpha: 1, beta: 1 - p[0]!, temperature: 1 };
    expectClose(await lossOf(options, [s, t]), [kl(p, softmax(s.values))], 1e-13);
  });

  it('dkd in float32 where p rounds to 1: the divergence and the gradient stay exact', async () => {
    const s = { shape: [1, 3], values: [30, 0, 1] };
    const t = { shape: [1, 3], values: [0, 25, 3] };
    const options = { ...dkd, alpha: 1, beta: 0, temperature: 1 };
    const [loss, gradient] = await evaluate([s, t], (b, [student, teacher]) => {
      const loss = distillationLoss(b, student!, [teacher!], firstColumn(), options);
      return [loss, ...gradients(b, loss, [student!])];
    });
    const binary = (z: readonly number[]) => [softmax(z)[0]!, softmax(z)[1]! + softmax(z)[2]!];
    expectClose(loss!, [kl(binary(t.values), binary(s.values))], 1e-6);
    // d TCKD / d z_0 = q - p; the rest shares its negative in proportion to the softmax of the other classes.
    const pull = binary(s.values)[0]! - binary(t.values)[0]!;
    const others = softmax([0, 1]);
    expectClose(gradient!, [pull, -pull * others[0]!, -pull * others[1]!], 1e-6);
  });

  it('atkd does not see scale and offset of the logits, up to the epsilon', async () => {
    const moved = float64(
      [r, c],
      student.values.map((x) => 50 * x - 7),
    );
    const [loss] = await lossOf(atkd, [moved, teachers[0]!]);
    expectClose([loss!], await lossOf(atkd, [student, teachers[0]!]), 1e-4);
  });
});
