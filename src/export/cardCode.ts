import type { ManifestModel } from './manifest.js';

/** Code of a model card: each program takes an image file and prints the features, or the likeliest class. */

/** A module for Node, with onnxruntime-node and sharp. */
export function nodeCode(model: ManifestModel): string {
  return `import { readFile } from 'node:fs/promises';
import { InferenceSession, Tensor } from 'onnxruntime-node';
import sharp from 'sharp';

const { models } = JSON.parse(await readFile('manifest.json', 'utf8'));
${shared(model)}
const session = await InferenceSession.create(model.file);
const { data, info } = await sharp(process.argv[2])
  .autoOrient()
  .flatten({ background: 'white' })
  .toColourspace('srgb')
  .raw({ depth: 'uchar' })
  .toBuffer({ resolveWithObject: true });
const outputs = await session.run({ ${feed(model)}: inputOf(data, info.width, info.height) });
console.log(textOf(outputs));
`;
}

/** A module for a page with an `<input type="file">`, with onnxruntime-web. */
export function browserCode(model: ManifestModel): string {
  const external = model.externalData ? `, { externalData: [model.externalData.file] }` : '';
  return `import { InferenceSession, Tensor } from 'onnxruntime-web';

const { models } = await (await fetch('manifest.json')).json();
${shared(model)}
const session = await InferenceSession.create(model.file${external});
document.querySelector('input[type=file]').addEventListener('change', async ({ target }) => {
  const bitmap = await createImageBitmap(target.files[0]);
  const { width, height } = bitmap;
  const context = new OffscreenCanvas(width, height).getContext('2d', { willReadFrequently: true });
  context.fillStyle = 'white';
  context.fillRect(0, 0, width, height);
  context.drawImage(bitmap, 0, 0);
  const rgba = context.getImageData(0, 0, width, height).data;
  const rgb = rgba.filter((_, i) => i % 4 < 3);
  const outputs = await session.run({ ${feed(model)}: inputOf(rgb, width, height) });
  document.body.append(textOf(outputs));
});
`;
}

/** How a Python program reads an image: its imports and lines that leave `pixels`, [height, width, channels]. */
function pythonReader({ preprocessing }: ManifestModel): { imports: string; lines: string } {
  const { order, scale, mean } = preprocessing;
  const photograph = `image = ImageOps.exif_transpose(Image.open(path)).convert("RGBA")
    image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image).convert("RGB")`;
  const pillow = 'from PIL import Image, ImageOps';
  const isBytes = scale === 1 / 255;
  if (order === 'rgb' && isBytes) {
    return { imports: pillow, lines: `${photograph}\n    pixels = np.asarray(image, np.float32)` };
  }
  if (order === 'grey' && isBytes) {
    const lines = `${photograph}.convert("L")\n    pixels = np.asarray(image, np.float32)[..., np.newaxis]`;
    return { imports: pillow, lines };
  }
  const lines = `pixels = tifffile.imread(path).astype(np.float32)
    if pixels.ndim == 2:
        pixels = pixels[..., np.newaxis]
    if pixels.shape[2] != ${mean.length}:
        pixels = np.moveaxis(pixels, 0, -1)`;
  return { imports: 'import tifffile\nfrom PIL import Image', lines };
}

/** A program for Python, with onnxruntime, NumPy and what reads the images. */
export function pythonCode(model: ManifestModel): string {
  const bytes = model.input === 'uint8-nhwc';
  const { imports, lines } = pythonReader(model);
  const channels = model.preprocessing.mean.length;
  const result = model.classes
    ? `scores = outputs["logits"][0]
scores = np.exp(scores - scores.max())
best = scores.argmax()
print(model["classes"][best], scores[best] / scores.sum())
`
    : `print(*outputs["features"][0])
`;
  const resize = model.resize
    ? ''
    : `
    # Floats, so that nothing is rounded to bytes between the steps.
    height, width, _ = pixels.shape
    if (width, height) != (size, size):
        width, height = (short * side // min(width, height) for side in (width, height))
        planes = [Image.fromarray(pixels[..., c]).resize((width, height), Image.BILINEAR) for c in range(${channels})]
        pixels = np.stack([np.asarray(plane) for plane in planes], axis=-1)
    top, left = round((height - size) / 2), round((width - size) / 2)
    pixels = pixels[top : top + size, left : left + size]`;
  const constants = model.resize ? '' : `short, size = steps["shortSide"], steps["crop"]["size"]\n`;
  const statistics = bytes ? '' : `mean, std = np.float32(steps["mean"]), np.float32(steps["std"])\n`;
  const values = bytes
    ? `values = ${model.resize ? 'pixels' : 'pixels.round()'}.astype(np.uint8)`
    : `values = ((pixels * np.float32(steps["scale"]) - mean) / std).transpose(2, 0, 1)`;
  const batched =
    (model.batch ?? 1) === 1 ? 'values[np.newaxis]' : `np.repeat(values[np.newaxis], ${model.batch}, axis=0)`;
  return `import json
import sys

import numpy as np
import onnxruntime
${imports}

with open("manifest.json", encoding="utf-8") as file:
    models = json.load(file)["models"]
model = next(model for model in models if model["file"] == ${JSON.stringify(model.file)})
steps = model["preprocessing"]
${constants}${statistics}

def input_of(path):
    ${lines}${resize}
    ${values}
    return ${batched}


session = onnxruntime.InferenceSession(model["file"], providers=["CPUExecutionProvider"])
names = [output.name for output in session.get_outputs()]
outputs = dict(zip(names, session.run(None, {${JSON.stringify(feed(model))}: input_of(sys.argv[1])})))
${result}`;
}

function feed({ inputs }: ManifestModel): string {
  return inputs[0]!.name;
}

/** What is the same in Node and browsers: from RGB bytes to the input, from the outputs to a text. */
function shared(model: ManifestModel): string {
  const { resize, batch, classes } = model;
  const bytes = model.input === 'uint8-nhwc';
  const constants = [
    `const model = models.find(({ file }) => file === ${JSON.stringify(model.file)});`,
    ...(resize && bytes ? [] : ['const { preprocessing } = model;']),
    ...(resize ? [] : ['const { shortSide, crop } = preprocessing;', 'const { size } = crop;']),
    ...(bytes ? [] : ['const { scale, mean, std } = preprocessing;']),
  ];
  const rows = resize ? 'height' : 'size';
  const columns = resize ? 'width' : 'size';
  const values = resize ? 'rgb' : 'centreOf(rgb, width, height)';
  const pixels = `${rows} * ${columns}`;
  const count = (batch ?? 1) === 1 ? '' : `${batch} * `;
  const tensor = bytes
    ? `  const bytes = new Uint8Array(${count}3 * ${pixels});
  bytes.set(${resize ? 'rgb' : `${values}.map(Math.round)`});
  return new Tensor('uint8', bytes, [${batch ?? 1}, ${rows}, ${columns}, 3]);`
    : `  const values = ${values};
  const planes = new Float32Array(${count}3 * ${pixels});
  for (let i = 0; i < 3 * ${pixels}; i++) {
    const c = i % 3;
    planes[c * ${pixels} + (i - c) / 3] = (values[i] * scale - mean[c]) / std[c];
  }
  return new Tensor('float32', planes, [${batch ?? 1}, 3, ${rows}, ${columns}]);`;
  const text = classes
    ? `/** The likeliest class and its probability. */
function textOf({ logits }) {
  const scores = Array.from(logits.data).slice(0, model.classes.length);
  const best = scores.indexOf(Math.max(...scores));
  const sum = scores.reduce((sum, score) => sum + Math.exp(score - scores[best]), 0);
  return \`\${model.classes[best]} \${1 / sum}\`;
}`
    : `/** The features of the image. */
function textOf({ features }) {
  return Array.from(features.data).slice(0, features.dims[1]).join(' ');
}`;
  return `${constants.join('\n')}
${resize ? '' : `\n${centre}\n`}
/** What the model takes, of RGB bytes [height, width, 3]. */
function inputOf(rgb, width, height) {
${tensor}
}

${text}
`;
}

const centre = `/** Of a side that is resized: which pixels make each of the \`size\` central ones, with which weights. */
function weightsOf(side, resized) {
  const scale = side / resized;
  const reach = Math.max(1, scale);
  const offset = (resized - size) / 2;
  const even = 2 * Math.round(offset / 2);
  const start = offset % 1 === 0.5 ? even : Math.round(offset);
  return Array.from({ length: size }, (_, i) => {
    const middle = (start + i + 0.5) * scale;
    const first = Math.max(0, Math.floor(middle - reach + 0.5));
    const end = Math.min(side, Math.floor(middle + reach + 0.5));
    const weights = Array.from({ length: end - first }, (_, k) =>
      Math.max(0, 1 - Math.abs(first + k + 0.5 - middle) / reach),
    );
    const sum = weights.reduce((a, b) => a + b);
    return { first, weights: weights.map((weight) => weight / sum) };
  });
}

/** The centre [size, size, 3] of an image that was resized: values from 0 to 255, not rounded. */
function centreOf(rgb, width, height) {
  const short = width === size && height === size ? size : shortSide;
  const resized = (side) => Math.floor((short * side) / Math.min(width, height));
  const columns = weightsOf(width, resized(width));
  const rows = weightsOf(height, resized(height));
  const centre = new Float64Array(size * size * 3);
  const line = new Float64Array(width * 3);
  rows.forEach(({ first, weights }, y) => {
    line.fill(0);
    weights.forEach((weight, k) => {
      const start = (first + k) * width * 3;
      for (let x = 0; x < line.length; x++) line[x] += weight * rgb[start + x];
    });
    columns.forEach(({ first, weights }, x) => {
      for (let c = 0; c < 3; c++) {
        const value = weights.reduce((sum, weight, k) => sum + weight * line[3 * (first + k) + c], 0);
        centre[3 * (y * size + x) + c] = value;
      }
    });
  });
  return centre;
}`;
