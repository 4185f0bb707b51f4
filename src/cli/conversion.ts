import { Option, type Command } from 'commander';
import { conversionDefaults, type Conversion, type ConversionOptions } from '../export/conversion.js';
import { formatCount } from '../formatCount.js';
import { calibrationMethods } from '../quantization/calibrationMethods.js';
import { integer, number } from './options.js';
import { formatTable } from './table.js';

/** What `addConversionOptions` parses. */
export type ConversionFlags = Omit<ConversionOptions, 'activations'> & {
  readonly activations?: keyof typeof activationNames;
};

const activationNames = { u8: 'uint8', s8: 'int8' } as const;

/** The options of a conversion to another precision; `when` says in the help when they are accepted. */
export function addConversionOptions(command: Command, when = ''): Command {
  const { calibration, images, maxDrop } = conversionDefaults;
  const count = integer(0);
  const heldOut = when === '' ? 'no' : 'with --max-... as `slimclr knn` did, else no';
  return command
    .addOption(
      new Option(
        '--activations <type>',
        `${when}activations of int8 models, unsigned or signed (default: u8)`,
      ).choices(Object.keys(activationNames)),
    )
    .addOption(
      new Option(
        '--calibration <method>',
        `${when}how int8 models get the ranges of their activations (default: ${calibration})`,
      ).choices(calibrationMethods),
    )
    .option(
      '--images <count>',
      `${when}training images that the ranges are of (default: ${images})`,
      integer(1),
    )
    .option(
      '--max-drop <points>',
      `${when}what kNN of a width may lose: layers stay in float32 until it does (default: ${maxDrop})`,
      number,
    )
    .option('--force', `${when}write int8 models also where float32 is as fast (default: no)`)
    .addOption(
      new Option(
        '--limit <count>',
        `${when}kNN against at most this many training images; 0: all (default: as many as the run)`,
      ).argParser(count),
    )
    .option(
      '--test-source <source>',
      `${when}labelled test images of kNN and probe (default: the test split of a named data set; of a folder those that ` +
        'data.validation holds out)',
    )
    .addOption(
      new Option(
        '--held-out',
        `${when}classify what data.validation holds out, of a named data set too (default: ${heldOut})`,
      ).conflicts('testSource'),
    )
    .addOption(
      new Option(
        '--test-limit <count>',
        `${when}at most this many test images; 0: all (default: 0)`,
      ).argParser(count),
    );
}

/** Takes what `addConversionOptions` parses out of flags: the library has it together, and absent where nothing is given. */
export function conversionOptions<T extends ConversionFlags>(flags: T) {
  const {
    activations,
    calibration,
    images,
    maxDrop,
    force,
    limit,
    testSource,
    testLimit,
    heldOut,
    ...others
  } = flags;
  const given = Object.entries({
    activations: activations && activationNames[activations],
    ...{ calibration, images, maxDrop, force, limit, testSource, testLimit, heldOut },
  }).filter(([, value]) => value !== undefined);
  return {
    ...others,
    ...(given.length > 0 && { conversion: Object.fromEntries(given) as ConversionOptions }),
  };
}

/** One line a width: what was converted, and what that cost. */
export function conversionTable(conversions: readonly Conversion[]): string {
  return formatTable([
    ['width', 'precision', 'float layers', 'cosine', 'kNN, %', 'probe, %', 'size', 'latency, ms'],
    ...conversions.map(({ label, precision, quantization, cosine, before, after }) => [
      label.slice(1),
      precision,
      quantization ? `${quantization.float.length} of ${quantization.layers}` : '-',
      cosine.toFixed(4),
      change(before.knn, after.knn, ({ top1 }) => (100 * top1).toFixed(2)),
      change(before.probe, after.probe, ({ top1 }) => (100 * top1).toFixed(2)),
      change(before.bytes, after.bytes, (bytes) => `${formatCount(bytes).trim()}B`),
      change(before.latency, after.latency, (latency) => latency.toPrecision(3)),
    ]),
  ]);
}

function change<T>(before: T | null, after: T | null, text: (value: T) => string): string {
  return before === null || after === null ? '-' : `${text(before)} to ${text(after)}`;
}
