import { oneLine, SlimclrError } from '../../src/errors.js';
import { configOf, reference, type Precision, type Setup } from './setups.js';
import { ourSide } from './side.js';

/** Losses of every width over the steps of a training. */
export type Losses = readonly (readonly number[])[];

export interface Proof {
  readonly preset: string;
  readonly setup: string;
  readonly precision: Precision;
  /** Largest difference of a loss from the reference's, relative to that; null where it did not run. */
  readonly error: number | null;
  readonly bound: number;
  /** Why it did not run. */
  readonly problem?: string;
}

/** Presets of one method each, small enough to be quick. */
export const provedPresets = [
  'cifar10-resnet20',
  'cifar10-resnet20-moco-v3',
  'cifar10-resnet20-simclr',
  'cifar10-resnet20-supervised',
];

export interface ProveOptions {
  readonly setups: readonly Setup[];
  readonly presets: readonly string[];
  readonly precisions: readonly Precision[];
  readonly steps: number;
  readonly batchSize: number;
  readonly onProof: (proof: Proof) => void;
}

/** Trains a few steps by every setup, and by the reference, from the same weights on the same images. */
export async function prove(options: ProveOptions): Promise<Proof[]> {
  const { setups, presets, precisions, steps, batchSize, onProof } = options;
  const proofs: Proof[] = [];
  for (const preset of presets) {
    // So slowly that a batch, seen again and again, is not learnt by heart: then rounding would decide.
    const slow = ['schedule.peak=0.001', 'schedule.warmupFrom=0'];
    const set = [
      ...slow,
      `batchSize=${batchSize}`,
      ...(queues(preset) ? [`method.queueSize=${16 * batchSize}`] : []),
    ];
    const expected = await lossesOf(preset, set, reference, steps);
    for (const setup of setups) {
      for (const precision of precisions) {
        if (precision === 'float16' && !setup.mixed) continue;
        const bound = boundOf(setup, precision);
        // No overflow skips a step.
        const scale = precision === 'float16' ? ['runtime.lossScale.initial=1024'] : [];
        const exact = [...set, `runtime.precision=${precision}`, ...scale, ...setup.exact];
        const ran = await lossesOf(preset, exact, setup, steps).catch(problemOf);
        const proof = {
          ...{ preset, setup: setup.title, precision, bound },
          ...(typeof ran === 'string'
            ? { error: null, problem: ran }
            : { error: largestError(ran, expected) }),
        };
        proofs.push(proof);
        onProof(proof);
      }
    }
  }
  return proofs;
}

function queues(preset: string): boolean {
  return preset === 'cifar10-resnet20';
}

/** What rounding alone may do to losses in ten steps. */
function boundOf({ device }: Setup, precision: Precision): number {
  if (precision === 'float16') return 1e-2;
  return device === 'cpu' ? 1e-5 : 1e-4;
}

async function lossesOf(
  preset: string,
  set: readonly string[],
  setup: Setup,
  steps: number,
): Promise<Losses> {
  const side = await ourSide(configOf(preset, [...set, 'runtime.tune=off'], setup), () => {});
  try {
    const losses: number[][] = [];
    for (let i = 0; i < steps; i++) losses.push([...(await side.process.step()).losses]);
    return losses;
  } finally {
    side.close();
  }
}

/** NaN where one is not a number. */
export function largestError(actual: Losses, expected: Losses): number {
  let largest = 0;
  for (const [step, row] of expected.entries()) {
    for (const [width, loss] of row.entries()) {
      const error = Math.abs((actual[step]?.[width] ?? NaN) - loss) / Math.abs(loss);
      if (Number.isNaN(error)) return NaN;
      largest = Math.max(largest, error);
    }
  }
  return largest;
}

/** One line of what keeps a setup from running; anything but a refusal is a fault of this tool. */
export function problemOf(error: unknown): string {
  if (error instanceof SlimclrError) return oneLine(error);
  throw error;
}
