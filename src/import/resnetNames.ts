import { architectures } from '../encoders/index.js';
import type { Config, EncoderName } from '../config/schema.js';
import { SlimclrError, UsageError } from '../errors.js';
import { slimmed } from '../nn/slicing.js';
import { printable } from '../printable.js';

/** How a file names the tensors of a ResNet, and what shapes it gives them. */
export interface ResNetNames {
  /** Before the names of the encoder, such as `module.encoder_q.`. */
  readonly prefix: string;
  /** Before what lies beside the encoder, such as `module.`. */
  readonly root: string;
  readonly encoder: { readonly name: EncoderName; readonly stem: Config['encoder']['stem'] };
  /** Channels of the images. */
  readonly inputs: number;
  /** Channels of the features. */
  readonly channels: number;
  /** Of projection shortcuts: torchvision says `downsample`. */
  readonly shortcut: 'downsample' | 'shortcut';
  /** Of the official SlimCLR: the first block of each stage in one list, `features`; null where stages have lists. */
  readonly stages: readonly number[] | null;
  /** Of the official SlimCLR: the width of each batch norm in the file's order; null where layers have one. */
  readonly widths: readonly number[] | null;
}

type Shapes = ReadonlyMap<string, { readonly shape: readonly number[] }>;

/** Encoders of a file that has several: the one that trains goes before its momentum copy. */
const trained = /(^|\.)(encoder_q|base_encoder|online_encoder)\.$/;

/**
 * The ResNet of a file. `asked`: what the names of its encoder begin with. Throws a SlimclrError where there is none
 * that is in the registry, a UsageError where several may be meant.
 */
export function detectResNet(shapes: Shapes, asked?: string): ResNetNames {
  const prefix = encoderPrefix(shapes, asked);
  const has = (name: string) => shapes.has(prefix + name);
  const stages = has('features.0.conv1.weight') ? stageStarts(has) : null;
  const blockName = (stage: number, block: number) =>
    stages ? `features.${stages[stage]! + block}` : `layer${stage + 1}.${block}`;
  const depths = depthsOf(has, stages);
  const kind = has(`${blockName(0, 0)}.conv3.weight`) ? 'bottleneck' : 'basic';
  const [stemChannels = 0, inputs = 0, kernel = 0] = shapes.get(`${prefix}conv1.weight`)!.shape;
  const name = Object.entries(architectures).find(
    ([, { block, depths: known, channels }]) =>
      block === kind && String(known) === String(depths) && channels[0] === stemChannels,
  )?.[0] as EncoderName | undefined;
  if (name === undefined || (kernel !== 3 && kernel !== 7)) {
    throw new SlimclrError(
      `a ResNet of ${kind} blocks [${depths.join(', ')}] behind a ${kernel}x${kernel} convolution to ${stemChannels} ` +
        `channels; accepted: ${Object.keys(architectures).join(', ')}, their first convolution 3x3 or 7x7`,
    );
  }
  const { channels } = architectures[name];
  const features = channels.at(-1)! * (kind === 'bottleneck' ? 4 : 1);
  const lastBlock = blockName(depths.length - 1, depths.at(-1)! - 1);
  const lastNorm = `${lastBlock}.${kind === 'bottleneck' ? 'bn3' : 'bn2'}`;
  return {
    prefix,
    root: prefix.replace(/[^.]+\.$/, ''),
    encoder: { name, stem: kernel === 7 ? 'imagenet' : 'cifar' },
    inputs,
    channels: features,
    shortcut: stages || has(`${blockName(1, 0)}.shortcut.0.weight`) ? 'shortcut' : 'downsample',
    stages,
    widths: widthsOf(shapes, prefix + lastNorm, features),
  };
}

/** What a file calls a parameter or statistic of the encoder. */
export function encoderTensorName(name: string, { prefix, shortcut, stages, widths }: ResNetNames): string {
  const path = name
    .replace(/^encoder\./, '')
    .replace(/^layer(\d+)\.(\d+)\./, (same, stage: string, block: string) =>
      stages ? `features.${stages[Number(stage) - 1]! + Number(block)}.` : same,
    )
    .replace('downsample.conv.', `${shortcut}.0.`)
    .replace('downsample.bn.', `${shortcut}.1.`);
  return prefix + normTensorName(path, widths);
}

const norm = /\.w([\d.]+)\.(gamma|beta|running_mean|running_var)$/;
const torchNames: Readonly<Record<string, string>> = { gamma: 'weight', beta: 'bias' };

/** `bn1.w0.50.gamma` as PyTorch has it: `bn1.weight`, or with one batch norm a width `bn1.bn.1.weight`. */
export function normTensorName(path: string, widths: readonly number[] | null): string {
  return path.replace(norm, (_, label: string, tensor: string) => {
    const place = widths ? `.bn.${widths.indexOf(Number(label))}` : '';
    return `${place}.${torchNames[tensor] ?? tensor}`;
  });
}

function encoderPrefix(shapes: Shapes, asked: string | undefined): string {
  const found = [...shapes.keys()].flatMap((name) => {
    const prefix = /^(.*?)conv1\.weight$/.exec(name)?.[1];
    if (prefix === undefined) return [];
    const has = (rest: string) => shapes.has(prefix + rest);
    const hasBlocks = has('layer1.0.conv1.weight') || has('features.0.conv1.weight');
    return hasBlocks && (has('bn1.weight') || has('bn1.bn.0.weight')) ? [prefix] : [];
  });
  const shown = found.map((prefix) => (prefix === '' ? '""' : printable(prefix))).join(', ');
  if (asked !== undefined) {
    if (found.includes(asked)) return asked;
    throw new UsageError(
      `--prefix ${asked} begins no ResNet; accepted: ${shown || 'nothing, for there is none'}`,
    );
  }
  const chosen = found.length === 1 ? found : found.filter((prefix) => trained.test(prefix));
  if (chosen.length === 1) return chosen[0]!;
  if (found.length > 1) throw new UsageError(`several ResNets; accepted: one of them by --prefix: ${shown}`);
  const names = [...shapes.keys()].slice(0, 4).map(printable).join(', ');
  throw new SlimclrError(
    `no ResNet (its tensors: ${names}${shapes.size > 4 ? ', ...' : ''}); accepted: the names of torchvision, timm, MoCo ` +
      'or the official SlimCLR (conv1.weight, bn1.weight, layer1.0.conv1.weight, ...), and our own checkpoints',
  );
}

/** First blocks of the stages: those with a shortcut, and the first of all. */
function stageStarts(has: (name: string) => boolean): number[] {
  const starts: number[] = [];
  for (let i = 0; has(`features.${i}.conv1.weight`); i++) {
    if (i === 0 || has(`features.${i}.shortcut.0.weight`)) starts.push(i);
  }
  return starts;
}

function depthsOf(has: (name: string) => boolean, stages: readonly number[] | null): number[] {
  const count = (nameOf: (block: number) => string) => {
    let blocks = 0;
    while (has(`${nameOf(blocks)}.conv1.weight`)) blocks++;
    return blocks;
  };
  if (stages) {
    const all = count((block) => `features.${block}`);
    return stages.map((start, i) => (stages[i + 1] ?? all) - start);
  }
  const depths: number[] = [];
  for (let stage = 1; has(`layer${stage}.0.conv1.weight`); stage++) {
    depths.push(count((block) => `layer${stage}.${block}`));
  }
  return depths;
}

/** The widths of switchable batch norms, by their channels; null for a plain one. */
function widthsOf(shapes: Shapes, norm: string, channels: number): number[] | null {
  const counts: number[] = [];
  for (let i = 0; shapes.has(`${norm}.bn.${i}.weight`); i++)
    counts.push(shapes.get(`${norm}.bn.${i}.weight`)!.shape[0]!);
  if (counts.length === 0) return null;
  return counts.map((count) => {
    const short = Number((count / channels).toFixed(2));
    return short > 0 && slimmed(channels, short) === count ? short : count / channels;
  });
}
