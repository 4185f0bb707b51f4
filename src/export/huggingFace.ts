import { basename, join, relative, resolve } from 'node:path';
import { openEngine } from '../engines/openEngine.js';
import { UsageError } from '../errors.js';
import { widthLabel } from '../nn/widthLabel.js';
import { decodeModel, encodeModel, type OnnxModel } from '../onnx/model.js';
import { renameValues } from '../onnx/renameValues.js';
import { replaceFile } from '../replaceFile.js';
import { makeModel, openExport, type ExportJob, type ExportOptions } from './exportJob.js';
import { modelFile } from './form.js';
import { huggingFaceCard } from './huggingFaceCard.js';
import { widthForms } from './widthForm.js';

/** What transformers.js calls the values of an exported model. */
const huggingFaceNames: Readonly<Record<string, string>> = {
  images: 'pixel_values',
  features: 'last_hidden_state',
  embedding: 'image_embeds',
};

/** A folder that transformers.js loads. */
export interface HuggingFaceExport {
  /** Relative to the run folder. */
  readonly folder: string;
  readonly label: string;
  readonly width: number;
  /** Of the model. */
  readonly bytes: number;
  readonly parameters: number;
  readonly multiplyAdds: number;
  /** Median milliseconds of one image. */
  readonly latency: number;
  /** As of an exported model; null: not verified. */
  readonly maxRelativeError: number | null;
}

/**
 * Exports a run for transformers.js: for each width a folder `<encoder>.<width label>.huggingface` (README.md in this
 * folder), which the pipelines `image-feature-extraction` and, with a classifier, `image-classification` load offline as
 * it is. The model resizes and crops images itself, as transformers.js cannot.
 * Throws what `exportRun` does, and a UsageError for options of a model whose input and outputs are others.
 */
export async function exportHuggingFace(
  runFolder: string,
  options: ExportOptions = {},
): Promise<readonly HuggingFaceExport[]> {
  checkOptions(options);
  const job = await openExport(runFolder, { ...options, resize: true });
  const { subject, output } = job;
  const { config } = subject;
  const { channels } = config.data;
  if (channels !== 3) {
    throw new UsageError(
      `images of data.channels ${channels} with the layout huggingface; accepted: 3, what transformers.js feeds`,
    );
  }
  const exported: HuggingFaceExport[] = [];
  const engine = await openEngine(config.runtime);
  try {
    const formOf = await widthForms(job, engine, options);
    for (const width of job.widths) {
      const label = widthLabel(width);
      const { subject } = await formOf(width);
      options.onProgress?.(`exporting ${label}`);
      const { bytes, parameters, multiplyAdds, latency, maxRelativeError } = await makeModel(
        { ...job, subject },
        width,
        engine,
      );
      const model = withHuggingFaceNames(decodeModel(bytes));
      const name = basename(
        modelFile(config.encoder.name, width, { ...subject.form, resize: false }),
        '.onnx',
      );
      const folder = join(output, `${name}.huggingface`);
      const content = encodeModel(model);
      const card = huggingFaceCard({
        name: `${basename(resolve(runFolder))} ${name}`,
        model,
        config,
        classes: job.probe?.classes ?? null,
      });
      await replaceFile(join(folder, 'onnx', 'model.onnx'), content);
      for (const [file, text] of [
        ['config.json', jsonText(modelConfig(job, width, model))],
        ['preprocessor_config.json', jsonText(preprocessorConfig(job))],
        ['README.md', card],
      ] as const) {
        await replaceFile(join(folder, file), text);
      }
      exported.push({
        folder: relative(runFolder, folder),
        label,
        width,
        bytes: content.length,
        parameters,
        multiplyAdds,
        latency,
        maxRelativeError,
      });
    }
  } finally {
    await engine.close();
  }
  return exported;
}

function checkOptions({ input = 'float32-nchw', batch, outputs = [], shared = false }: ExportOptions): void {
  const [what, accepted] =
    input !== 'float32-nchw'
      ? [`the input ${input}`, 'float32-nchw, what transformers.js feeds']
      : batch !== undefined
        ? [`a batch of ${batch}`, 'any number of images']
        : outputs.length > 0
          ? [`the outputs ${outputs.join(', ')}`, 'features, --head and --classifier']
          : shared
            ? ['shared weights', 'folders that stand alone']
            : [];
  if (what !== undefined) throw new UsageError(`${what} with the layout huggingface; accepted: ${accepted}`);
}

function withHuggingFaceNames(model: OnnxModel): OnnxModel {
  const values = new Set([...model.inputs, ...model.outputs].map(({ name }) => name));
  return renameValues(
    model,
    Object.fromEntries(Object.entries(huggingFaceNames).filter(([name]) => values.has(name))),
  );
}

/** `config.json`: what the model is for transformers.js. */
function modelConfig({ subject, run, probe }: ExportJob, width: number, { outputs }: OnnxModel): object {
  const { config, checkpoint } = subject;
  const features = outputs.find(({ name }) => name === huggingFaceNames['features'])!;
  const labels = probe?.classes.map((name, i) => [String(i), name] as const);
  return {
    // NOTE: of the names that transformers.js knows, the one whose models are those of a convolutional network.
    model_type: 'resnet',
    architectures: [probe ? 'ResNetForImageClassification' : 'ResNetModel'],
    num_channels: 3,
    image_size: config.data.imageSize,
    hidden_size: features.type.shape[1],
    ...(labels && {
      id2label: Object.fromEntries(labels),
      label2id: Object.fromEntries(labels.map(([i, name]) => [name, Number(i)])),
    }),
    // The one file that there is, on every device.
    'transformers.js_config': { dtype: 'fp32' },
    slimclr: { encoder: config.encoder.name, method: config.method.kind, width, run: basename(resolve(run.folder)), checkpoint }, // prettier-ignore
  };
}

/** `preprocessor_config.json`: bytes become normalised values; what is left, the model does. */
function preprocessorConfig({ subject }: ExportJob): object {
  const { mean, std } = subject.config.data;
  return {
    image_processor_type: 'ViTImageProcessor',
    do_convert_rgb: true,
    do_resize: false,
    do_center_crop: false,
    do_rescale: true,
    rescale_factor: 1 / 255,
    do_normalize: true,
    image_mean: mean,
    image_std: std,
  };
}

function jsonText(value: object): string {
  return `${JSON.stringify(value, null, 2)}\n`;
}
