import type { Config } from '../config/schema.js';
import { shortSide } from '../data/transform.js';
import type { OnnxModel } from '../onnx/model.js';
import { version } from '../version.js';

interface CardSubject {
  readonly name: string;
  readonly model: OnnxModel;
  readonly config: Config;
  readonly classes: readonly string[] | null;
}

/** The model card of a folder for transformers.js, with the metadata that the Hugging Face Hub reads at its top. */
export function huggingFaceCard({ name, model, config, classes }: CardSubject): string {
  const size = config.data.imageSize;
  const tasks = ['image-feature-extraction', ...(classes ? ['image-classification'] : [])];
  const outputs = model.outputs.map(({ name, type }) => `\`${name}\` \`[${type.shape.join(', ')}]\``);
  return `---
library_name: transformers.js
pipeline_tag: ${tasks.at(-1)}
tags:
  - slimclr
  - ${config.encoder.name}
---

# ${name}

An image encoder that slimclr ${version} pre-trained with ${config.method.kind}. Input \`pixel_values\`, outputs ${outputs.join(', ')}.

The processor scales and normalises the pixels; the model takes images of any size: it makes the short side ${shortSide(size)} pixels, antialiased, and takes the centre of ${size} x ${size}. Images of ${size} x ${size} are taken as they are. Images of one call have one size.

With \`npm install @huggingface/transformers\`, this file beside the folder, \`node use.mjs FOLDER image.jpg\`:

\`\`\`js
import { resolve } from 'node:path';
import { env, pipeline } from '@huggingface/transformers';

const [folder, image] = process.argv.slice(2);
env.allowRemoteModels = false;
env.localModelPath = '';
const extract = await pipeline('image-feature-extraction', resolve(folder));
const features = await extract(image);
console.log(features.dims, features.tolist()[0].join(' '));
${
  classes
    ? `const classify = await pipeline('image-classification', resolve(folder));
console.log(await classify(image));
`
    : ''
}\`\`\`
`;
}
