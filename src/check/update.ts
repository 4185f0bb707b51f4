import { ForeignModel } from '../engines/foreignModel.js';
import { threadCount } from '../engines/engineOptions.js';
import { modelAccuracy } from './accuracy.js';
import { openLabelled } from './check.js';
import { fixedInputs, misfit, pixelForm, type FixedInput } from './fixedInputs.js';
import {
  readGoldenModels,
  writeGoldenModels,
  type GoldenModel,
  type GoldenUpdate,
  type NewGolden,
} from './goldenModels.js';
import { defaultTolerances, goldenOutput } from './numerics.js';
import type { UpdateOptions } from './options.js';
import { runModel } from './runModel.js';
import { SampleImages } from './sampleImages.js';
import { modelsAt, openModel, type OpenedModel } from './subject.js';

/**
 * Makes the models of a run, a folder of exports or a file golden: the folder holds them and no others. The inputs of
 * models that were golden before stay the same unless options ask for others.
 */
export async function updateGoldenModels(
  subject: string,
  folder: string,
  options: UpdateOptions = {},
): Promise<GoldenUpdate> {
  const { keepModels = true, onProgress } = options;
  const images = new SampleImages(subject, options);
  const before = new Map(
    ((await readGoldenModels(folder).catch(() => undefined)) ?? []).map((golden) => [golden.name, golden]),
  );
  const source = options.labelled === undefined ? null : await openLabelled(options.labelled, options);
  const models: NewGolden[] = [];
  for (const file of await modelsAt(subject)) {
    onProgress?.(`running ${file.name}`);
    const model = await openModel(file);
    const { structure } = model;
    const session = await ForeignModel.open(file.path, threadCount({ threads: options.threads ?? 1 }));
    try {
      const old = before.get(file.name);
      const inputs =
        (old && reusedInputs(old, model, options)) ??
        (await fixedInputs(structure, await images.of(model), options));
      const outputs = [...runModel(session, structure, inputs)];
      models.push({
        model,
        name: file.name,
        sha256: model.sha256,
        bytes: model.bytes,
        kept: keepModels,
        tolerance: options.tolerance ?? old?.tolerance ?? defaultTolerances[structure.precision],
        inputs,
        outputs: new Map(outputs.map(([name, tensor]) => [name, tensor && goldenOutput(tensor)])),
        accuracy: source && (await modelAccuracy(session, structure, source, options)),
      });
    } finally {
      session.close();
    }
  }
  return writeGoldenModels(folder, models);
}

/** The golden inputs as they are, normalised as the model wants it now; null where it takes others, or others are asked for. */
function reusedInputs(
  { inputs }: GoldenModel,
  { structure }: OpenedModel,
  options: UpdateOptions,
): FixedInput[] | null {
  const asked = [options.images, options.inputs, options.count, options.size, options.mean, options.std];
  if (asked.some((option) => option !== undefined)) return null;
  const reused = structure.inputs.map((port): FixedInput | null => {
    const input = inputs.find(({ name }) => name === port.name);
    if (!input) return null;
    if (!input.pixels) {
      const { dtype, shape } = input.stored;
      const free = input.batched ? { ...port, shape: port.shape && ['', ...port.shape.slice(1)] } : port;
      return misfit(free, { dtype, shape }) === null ? input : null;
    }
    const form = pixelForm(port, structure.metadata, options);
    if (!form) return null;
    const { layout, dtype, mean, std, height, width, channels } = form;
    const [, ...stored] = input.stored.shape;
    if (stored.join() !== [height, width, channels].join()) return null;
    return { ...input, pixels: { layout, dtype, mean, std } };
  });
  return reused.every((input) => input !== null) ? reused : null;
}
