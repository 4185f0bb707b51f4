import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { counted } from '../counted.js';
import { formatCount } from '../formatCount.js';
import type { Notices } from '../keep.js';
import { readPlainFile } from '../plainFile.js';
import { replaceFile } from '../replaceFile.js';
import { browserCode, nodeCode, pythonCode } from './cardCode.js';
import { manifestFile, type ExportManifest, type ManifestModel } from './manifest.js';

/** What a model card begins with: what does not is somebody else's, and stays. */
const mark = '<!-- Written by slimclr export from manifest.json; the next export writes it anew. -->';

/**
 * Writes the model card of a folder, `README.md`, made from its manifest. One that is not of slimclr stays, with a
 * notice.
 */
export async function writeModelCard(
  folder: string,
  manifest: ExportManifest,
  { onNotice }: Notices,
): Promise<void> {
  const path = join(folder, 'README.md');
  if (existsSync(path) && !(await readPlainFile(path)).toString('utf8').startsWith(mark)) {
    onNotice?.(`${path} is not a model card of slimclr and stays as it is; there is no model card`);
    return;
  }
  await replaceFile(path, modelCard(manifest));
}

/** The model card of a folder of exported models, in Markdown. */
export function modelCard(manifest: ExportManifest): string {
  const { run, models } = manifest;
  const example = exampleModel(models);
  const sections = [
    mark,
    `# ${inMarkdown(run.name)}: ${run.encoder} at ${counted(new Set(models.map(({ width }) => width)).size, 'width')}`,
    `Image encoders in ONNX, pre-trained with ${run.method} by slimclr ${manifest.slimclr}: each is a standalone model, the narrow ones are smaller and faster. \`${manifestFile}\` beside this file says everything here, and more, for programs.`,
    modelTable(models),
    ...footnotes(models),
    '## Inputs and outputs',
    valueTable(example),
    '## Preprocessing',
    preprocessing(example),
    '## Use',
    ...(takesPhotographs(example) ? examples(example) : bandExample(example)),
  ];
  return `${sections.join('\n\n')}\n`;
}

/** Whether the images are those that decoders for pictures give: RGB of bytes. */
function takesPhotographs({ preprocessing: { order, scale } }: ManifestModel): boolean {
  return order === 'rgb' && scale === 1 / 255;
}

/** Of grey, bands or 16 bits. */
function bandExample(example: ManifestModel): string[] {
  const isGrey = example.preprocessing.order === 'grey' && example.preprocessing.scale === 1 / 255;
  const [library, file] = isGrey ? ['pillow', 'image.jpg'] : ['pillow tifffile', 'image.tif'];
  return [
    `The example takes the file of an image and prints what \`${example.file}\` makes of it. It runs in this folder. \`slimclr embed\` does the same for folders, and the package's module \`slimclr/web\` for decoded images in browsers and Node.`,
    '### Python',
    `With \`pip install onnxruntime numpy ${library}\` and this as \`embed.py\`, \`python embed.py ${file}\`:`,
    fenced('python', pythonCode(example)),
  ];
}

function examples(example: ManifestModel): string[] {
  return [
    `Each example takes the file of an image and prints what \`${example.file}\` makes of it. They run in this folder.`,
    '### Node',
    'With `npm install onnxruntime-node sharp` and this as `embed.mjs`, `node embed.mjs image.jpg`:',
    fenced('js', nodeCode(example)),
    '### Browser',
    'A page with `<input type="file">` and this module, served together with this folder; a bundler, or an import map, finds `onnxruntime-web`:',
    fenced('js', browserCode(example)),
    '### Python',
    'With `pip install onnxruntime numpy pillow` and this as `embed.py`, `python embed.py image.jpg`:',
    fenced('python', pythonCode(example)),
  ];
}

/** The model that the card shows in use: of the plainest ones, one of a middle width, with a classifier where there is one. */
export function exampleModel(models: readonly ManifestModel[]): ManifestModel {
  const plainness = (model: ManifestModel) => [
    model.batch === null || model.batch === 1,
    model.precision === 'float32',
    model.input === 'float32-nchw' && !model.resize,
    model.maps.length === 0,
    model.size === null,
    model.externalData === null,
    model.classes !== null,
    !model.head,
  ].reduce((rank, holds) => 2 * rank + Number(holds), 0); // prettier-ignore
  const best = Math.max(...models.map(plainness));
  const plainest = models.filter((model) => plainness(model) === best);
  return plainest[plainest.length >> 1]!;
}

function modelTable(models: readonly ManifestModel[]): string {
  const percent = (accuracy: { readonly top1: number } | null) =>
    accuracy ? (100 * accuracy.top1).toFixed(1) : '–';
  const rows = models.map((model) => [
    `[${model.file}](${model.file})`,
    model.label.slice(1),
    kindOf(model),
    formatCount(model.parameters).trim(),
    formatCount(model.multiplyAdds).trim(),
    `${formatCount(model.bytes)}B`,
    model.latency ? `${model.latency.milliseconds.toPrecision(3)} ms` : '–',
    percent(model.accuracy.knn),
    percent(model.accuracy.probe),
  ]);
  return table([
    ['model', 'width', 'kind', 'parameters', 'multiply-adds', 'size', 'latency', 'kNN, %', 'probe, %'],
    ...rows,
  ]);
}

/** What a model is beside its width. */
function kindOf(model: ManifestModel): string {
  const parts = [
    model.precision,
    ...(model.input === 'uint8-nhwc' ? ['takes bytes'] : []),
    ...(model.resize ? ['resizes'] : []),
    ...(model.batch === null ? [] : [`batch ${model.batch}`]),
    ...(model.size === null ? [] : [`${model.size} x ${model.size}`]),
    ...(model.head ? ['embedding'] : []),
    ...(model.classes === null ? [] : [`${model.classes.length} classes (${model.classifier})`]),
    ...(model.maps.length === 0 ? [] : [`maps ${model.maps.join(', ')}`]),
    ...(model.externalData === null ? [] : [`weights in ${model.externalData.file}`]),
  ];
  return parts.join(', ');
}

/** How the figures of the table were measured. */
function footnotes(models: readonly ManifestModel[]): string[] {
  const latencies = distinct(
    models.flatMap(({ latency }) =>
      latency
        ? [
            `${counted(latency.batch, 'image')} a run on ${inMarkdown(latency.machine)}, ${latency.provider}, ` +
              counted(latency.threads, 'thread'),
          ]
        : [],
    ),
  );
  const known = models.map(({ accuracy }) => accuracy);
  const knns = distinct(
    known.flatMap(({ knn }) =>
      knn ? [`k ${knn.k}, temperature ${knn.temperature}, ${measuredOn(knn)}`] : [],
    ),
  );
  const probes = distinct(
    known.flatMap(({ probe }) => (probe ? [`protocol ${probe.protocol}, ${measuredOn(probe)}`] : [])),
  );
  const lines = [
    ...(latencies.length > 0 ? [`Latency: the median of ${latencies.join('; ')}.`] : []),
    ...(knns.length > 0 ? [`kNN: top-1 of ${knns.join('; ')}.`] : []),
    ...(probes.length > 0 ? [`Linear probe: top-1 of ${probes.join('; ')}.`] : []),
  ];
  return lines.length === 0 ? [] : [lines.join(' ')];
}

type Measured = Pick<NonNullable<ManifestModel['accuracy']['knn']>, 'source' | 'images' | 'heldOut'>;

function measuredOn({ source, images, heldOut }: Measured): string {
  return `${counted(images, heldOut ? 'held-out image' : 'test image')} of ${inMarkdown(source)}`;
}

const meanings: Readonly<Record<string, string>> = {
  images: 'the images, below',
  features: 'features after global average pooling, not normalised',
  embedding: 'what the projection head makes of the features, not normalised',
  logits: 'scores of the classes before softmax; their names are `classes` in the manifest',
};

function valueTable({ file, inputs, outputs }: ManifestModel): string {
  const row = (kind: string, { name, dtype, shape }: ManifestModel['inputs'][number]) => [
    `\`${name}\``,
    kind,
    `${dtype} \`[${shape.join(', ')}]\``,
    meanings[name] ?? 'a feature map',
  ];
  const rows = [
    ...inputs.map((value) => row('input', value)),
    ...outputs.map((value) => row('output', value)),
  ];
  return `Of \`${file}\`; the manifest has those of the others.\n\n${table([['name', '', 'type', ''], ...rows])}`;
}

/** What the channels are, for a sentence. */
const orders: Readonly<Record<ManifestModel['preprocessing']['order'], string>> = {
  rgb: 'in the order red, green, blue',
  grey: 'which is grey, of colours 0.299 red + 0.587 green + 0.114 blue',
  bands: 'in the order of the file',
};

function preprocessing({ preprocessing, input }: ManifestModel): string {
  const { inGraph, untouched, shortSide, crop, layout, order, scale, mean, std } = preprocessing;
  const size = crop.size;
  const inside = (step: (typeof inGraph)[number]) =>
    inGraph.includes(step) ? ' The model does this itself.' : '';
  const shape = layout === 'nhwc' ? 'rows, columns, channels' : 'channels, rows, columns';
  const steps = [
    `The short side becomes ${shortSide} pixels, the long side \`floor(${shortSide} * long / short)\`. Bilinear, antialiased: when shrinking, the triangle is as wide as the scale says. Nothing is rounded to bytes in between.${inside('resize')}`,
    `The centre of ${size} x ${size} is cut out: it begins at \`(side - ${size}) / 2\`, rounded, a half to the even neighbour.${inside('crop')}`,
    `Each channel becomes \`(${scale === 1 / 255 ? 'byte / 255' : 'value / 65535'} - mean) / std\`, ${orders[order]}, with mean ${mean.join(', ')} and std ${std.join(', ')}.${inside('normalize')}`,
    `The model takes it as ${shape}${input === 'uint8-nhwc' ? ', as bytes' : ''}.`,
  ];
  const numbered = steps.map((step, i) => `${i + 1}. ${step}`).join('\n');
  const seen =
    order === 'bands'
      ? 'The bands of an image are taken as they are.'
      : 'An image is turned as its EXIF orientation says, transparency lies over white.';
  return `${seen} An image of ${untouched.join(' x ')} pixels is neither resized nor cropped.\n\n${numbered}`;
}

function table(rows: readonly (readonly string[])[]): string {
  const [head, ...body] = rows.map((cells) => `| ${cells.join(' | ')} |`);
  return [head, `|${' --- |'.repeat(rows[0]!.length)}`, ...body].join('\n');
}

function fenced(language: string, code: string): string {
  return `\`\`\`${language}\n${code}\`\`\``;
}

function distinct(lines: readonly string[]): string[] {
  return [...new Set(lines)];
}

/** A name from outside as text of a line or a cell. */
function inMarkdown(text: string): string {
  return text.replace(/[\\`*_{}[\]<>|#]/g, '\\$&').replace(/\s+/g, ' ');
}
