/**
 * `slimclr quantize` beside onnxruntime's own `quantize_static`: both quantise every layer of a run's widths, with the
 * same calibration images, and are compared in kNN accuracy and latency. Exit code 1 where ours is worse by more than
 * 0.2 points or slower by more than 3 %.
 */
import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { Command, Option } from 'commander';
import { integer } from '../../src/cli/options.js';
import { formatTable } from '../../src/cli/table.js';
import { defaultCacheDirectory } from '../../src/data/cacheDirectory.js';
import { openEngine } from '../../src/engines/openEngine.js';
import { SlimclrError, UsageError } from '../../src/errors.js';
import { openLabelledImages } from '../../src/evaluation/labelledImages.js';
import { openTrainedRun } from '../../src/evaluation/trainedRun.js';
import { calibrationImages } from '../../src/export/converter.js';
import { exportRun } from '../../src/export/exportRun.js';
import { pairedLatency } from '../../src/export/pairedLatency.js';
import { encodeNpy } from '../../src/onnx/npy.js';
import { calibrationMethods, type CalibrationMethod } from '../../src/quantization/calibrationMethods.js';
import { environmentOf, complaint } from '../interop/environment.js';
import { concatenated, knnOfModel } from './knnOfModel.js';

interface Options {
  readonly python: string;
  readonly environments: string;
  readonly calibration: CalibrationMethod;
  readonly images: number;
  readonly testLimit: number;
}

/** How much worse ours may be: points of kNN, and the ratio of the latencies. */
const accepted = { points: 0.2, latency: 1.03 };

const script = fileURLToPath(new URL('../../../tools/quantize/quantize_static.py', import.meta.url));
const scratch = mkdtempSync(join(tmpdir(), 'slimclr-quantize-'));
try {
  process.exitCode = await compare(...parsed());
} catch (error) {
  if (!(error instanceof SlimclrError)) throw error;
  console.error(error.message);
  process.exitCode = error instanceof UsageError ? 2 : 1;
} finally {
  rmSync(scratch, { recursive: true });
}

async function compare(folder: string, options: Options): Promise<number> {
  const interpreter = await environmentOf(options.environments, options.python, ['onnx', 'onnxruntime']);
  const { images, calibration, testLimit } = options;
  const shared = { onProgress: (message: string) => console.error(message), onNotice: console.error };
  // The default opset is older than scales by channel, which quantize_static leaves to its caller.
  const float = await exportRun(folder, { ...shared, output: join(scratch, 'float'), opset: 17 });
  const ours = await exportRun(folder, {
    ...shared,
    ...{ output: join(scratch, 'ours'), precision: 'int8' },
    conversion: { images, calibration, testLimit, maxDrop: 100, force: true },
  });
  const run = await openTrainedRun(folder);
  const { batches } = await calibrationImages(run, { images });
  const array = join(scratch, 'images.npy');
  await writeFile(array, encodeNpy(concatenated(batches)));
  const theirs = float.models.map(({ file }) => join(scratch, `theirs.${basename(file)}`));
  const pairs = float.models.flatMap(({ file }, i) => [join(folder, file), theirs[i]!]);
  try {
    await promisify(execFile)(interpreter, [script, array, calibration, ...pairs]);
  } catch (error) {
    throw new SlimclrError(`quantize_static: ${complaint((error as { stderr?: string }).stderr)}`, {
      cause: error,
    });
  }
  const labelled = await openLabelledImages(run.config, { testLimit });
  const engine = await openEngine(run.config.runtime);
  let failed = false;
  const rows: string[][] = [];
  try {
    for (const [i, { label, file }] of float.models.entries()) {
      const paths = [join(folder, file), join(folder, ours.models[i]!.file), theirs[i]!];
      const [exact, own, other] = await Promise.all(paths.map((path) => readFile(path)));
      const accuracies: number[] = [];
      for (const model of [exact!, own!, other!]) {
        accuracies.push(100 * (await knnOfModel(model, run.config, labelled, engine)).top1);
      }
      const [ownTime, otherTime] = await pairedLatency([own!, other!], batches[0]!, engine);
      const isRight =
        accuracies[1]! >= accuracies[2]! - accepted.points && ownTime <= accepted.latency * otherTime;
      failed ||= !isRight;
      rows.push([
        label.slice(1),
        ...accuracies.map((points) => points.toFixed(2)),
        ...[ownTime, otherTime].map((time) => time.toPrecision(3)),
        ...[own!, other!].map(({ length }) => String(Math.round(length / 1000))),
        isRight ? 'ok' : 'WORSE',
      ]);
    }
  } finally {
    await engine.close();
  }
  process.stdout.write(
    formatTable([
      ['width', 'float32 kNN, %', 'ours', 'quantize_static', 'ms, ours', 'theirs', 'kB, ours', 'theirs', ''],
      ...rows,
    ]),
  );
  return failed ? 1 : 0;
}

function parsed(): [string, Options] {
  const program = new Command('npm run quantize-reference --')
    .description("Compare slimclr's INT8 models of a run with those of onnxruntime's quantize_static.")
    .argument('<run>', 'folder of a run on a data set with labels')
    .option('--python <path>', 'the Python whose environment is made', 'python3')
    .option('--environments <folder>', 'where it is kept', join(defaultCacheDirectory(), 'interop'))
    .addOption(
      new Option('--calibration <method>', 'how both get their ranges')
        .choices(calibrationMethods)
        .default('minmax'),
    )
    .addOption(new Option('--images <count>', 'of the calibration').argParser(integer(1)).default(200))
    .addOption(
      new Option('--test-limit <count>', 'at most this many test images; 0: all')
        .argParser(integer(0))
        .default(0),
    )
    .exitOverride(({ exitCode }) => process.exit(exitCode === 0 ? 0 : 2))
    .parse();
  return [program.args[0]!, program.opts<Options>()];
}
