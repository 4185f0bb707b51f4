import { UsageError } from '../errors.js';
import type { LabelledImagesOptions } from '../evaluation/labelledImages.js';
import { calibrationMethods, type CalibrationMethod } from '../quantization/calibrationMethods.js';
import type { FeatureAccuracy } from '../quantization/quantizationAccuracy.js';
import { activationTypes, type ActivationType } from '../quantization/scales.js';
import type { Precision } from './form.js';

/** How models get another precision than float32, and what that may cost. */
export interface ConversionOptions extends Pick<
  LabelledImagesOptions,
  'limit' | 'testSource' | 'heldOut' | 'testLimit'
> {
  /** Of int8 models; default `uint8`. */
  readonly activations?: ActivationType;
  /** How int8 models get the ranges of their activations; default `minmax`. */
  readonly calibration?: CalibrationMethod;
  /** Training images that the ranges are of; default 200. */
  readonly images?: number;
  /** What kNN may lose at a width, in points: layers stay in float32 until it does; default 0.5. */
  readonly maxDrop?: number;
  /** Write an int8 model even where float32 is as fast; default: the width stays float32. */
  readonly force?: boolean;
}

export const conversionDefaults = {
  activations: 'uint8',
  calibration: 'minmax',
  images: 200,
  maxDrop: 0.5,
} as const;

/** Test images, and the settings of kNN. */
export interface ConversionTest {
  readonly source: string;
  readonly images: number;
  /** There where they are those that the run holds out of training. */
  readonly heldOut?: true;
  readonly k: number;
  readonly temperature: number;
}

/** A model before or after its conversion. */
export interface ConvertedSide extends FeatureAccuracy {
  readonly bytes: number;
  /** Median milliseconds of one image, measured in turns with the other side. */
  readonly latency: number;
}

/** What int8 models are made with. */
export interface Quantization {
  readonly activations: ActivationType;
  readonly calibration: CalibrationMethod;
  /** Convolutions and matrix products. */
  readonly layers: number;
  /** Names of those that stay in float32. */
  readonly float: readonly string[];
}

/** What a conversion makes of a width. */
export interface Conversion {
  readonly label: string;
  readonly width: number;
  /** What was asked for, or float32. */
  readonly precision: Precision;
  /** Why it is float32; null: it is not. */
  readonly reason: string | null;
  /** null: of float16. */
  readonly quantization: Quantization | null;
  /** Images that the ranges and the cosine are of, and where they come from. */
  readonly images: number;
  readonly source: string;
  /** Mean cosine of the features of these images with those of the float32 model. */
  readonly cosine: number;
  /** What accuracy was measured on; null: it was not. */
  readonly test: ConversionTest | null;
  readonly before: ConvertedSide;
  readonly after: ConvertedSide;
}

/** Throws a UsageError for options out of range, and for those of int8 where another precision is asked for. */
export function checkConversion(precision: Precision, options: ConversionOptions): void {
  const { activations, calibration, images = 1, maxDrop = 0 } = options;
  const all = Object.entries({
    activations: ['int8'],
    calibration: ['int8'],
    force: ['int8'],
    images: ['int8', 'float16'],
    maxDrop: ['int8', 'float16'],
    limit: ['int8', 'float16'],
    testSource: ['int8', 'float16'],
    heldOut: ['int8', 'float16'],
    testLimit: ['int8', 'float16'],
  });
  for (const [name, precisions] of all) {
    if (options[name as keyof ConversionOptions] === undefined || precisions.includes(precision)) continue;
    throw new UsageError(
      `${name} is for the conversion to ${precisions.join(' or ')}, not for ${precision} models; ` +
        `accepted: together with the precision ${precisions.join(' or ')}`,
    );
  }
  oneOf('activations', activations, activationTypes);
  oneOf('calibration', calibration, calibrationMethods);
  if (!Number.isInteger(images) || images < 1) {
    throw new UsageError(`images is ${images}; accepted: an integer >= 1`);
  }
  if (!(maxDrop >= 0)) throw new UsageError(`maxDrop is ${maxDrop}; accepted: points >= 0`);
}

function oneOf(name: string, value: string | undefined, accepted: readonly string[]): void {
  if (value === undefined || accepted.includes(value)) return;
  throw new UsageError(`${name} is '${value}'; accepted: ${accepted.join(', ')}`);
}

/** Why a width stays float32 whose int8 model takes as many milliseconds or more; null: it takes less. */
export function slowerInt8(float32: number, int8: number): string | null {
  if (int8 < float32) return null;
  return `int8 takes ${int8.toPrecision(3)} ms, float32 ${float32.toPrecision(3)} ms`;
}
