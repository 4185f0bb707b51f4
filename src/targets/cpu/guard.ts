import { layoutOf, type ParameterLayout } from '../parameterLayout.js';

/*
 * Which nodes of ONNX Runtime's domain `com.microsoft.nchwc` may be emitted. Its kernels check little: a wrong
 * channel count reads and writes outside its buffers, gives wrong numbers or ends the process. The rules are
 * what `npm run sweep` found right against the standard operators, every one of them, and no more.
 *
 * From 1.31 on ONNX Runtime checks shapes itself and refuses more than it must: groups over a plain image, which 1.30
 * computes rightly. What is emitted keeps to the rules of both, but for a runtime that was found to take such groups.
 */

type Pair = readonly [number, number];

interface Window {
  readonly kernel: Pair;
  readonly strides: Pair;
  readonly dilations: Pair;
  /** top, left, bottom, right */
  readonly pads: readonly [number, number, number, number];
}

/** Of the runtime that is to run a graph. */
export interface KernelRules {
  /** Channels of a block: 16 with AVX-512, 8 without. */
  readonly block: number;
  /** Whether nchwc.Conv takes groups over a plain image: ONNX Runtime up to 1.30 does, 1.31 and later refuse them. */
  readonly plainGroups: boolean;
}

export interface BlockedConv extends Window {
  /** Channels of the input, all groups together. */
  readonly inputs: number;
  /** Channels of the output, all groups together. */
  readonly outputs: number;
  readonly group: number;
}

export interface BlockedPool extends Window {
  readonly channels: number;
}

/**
 * How nchwc.Conv reads its image. `blocked`: image and weights in blocks of B channels. `depthwise`: one channel
 * in and out for each group, image and weights in blocks of B groups. `plain`: fewer than B channels a group, the
 * image is a plain `[N, C, H, W]`. The kernel chooses by the same counts, so this is what it does, not a wish.
 */
export type ConvMode = 'blocked' | 'depthwise' | 'plain';

export function convMode({ inputs, outputs, group }: Channels, blockSize: number): ConvMode {
  if (inputs / group >= blockSize) return 'blocked';
  return inputs === group && outputs === group ? 'depthwise' : 'plain';
}

/** The order in memory of the weights `[K, C/group, kh, kw]` that nchwc.Conv reads, given C/group. */
export function convWeightLayout(inputsPerGroup: number, blockSize: 8 | 16): ParameterLayout {
  return layoutOf(inputsPerGroup < blockSize ? 'OIHWBo' : 'OIHWBiBo', blockSize);
}

type Channels = Pick<BlockedConv, 'inputs' | 'outputs' | 'group'>;

/** Why this nchwc.Conv must not be emitted, in one line; null when it is right. */
export function blockedConvProblem(conv: BlockedConv, rules: KernelRules): string | null {
  return blockSizeProblem(rules.block) ?? channelProblem(conv, rules) ?? windowProblem(conv);
}

function channelProblem(conv: BlockedConv, { block, plainGroups }: KernelRules): string | null {
  const { inputs, outputs, group } = conv;
  if (![inputs, outputs, group].every(isCount)) {
    return `${inputs} to ${outputs} channels in ${group} groups are not positive integers`;
  }
  if (inputs % group !== 0 || outputs % group !== 0) {
    return `${inputs} to ${outputs} channels do not divide into ${group} groups`;
  }
  if (inputs >= block && inputs % block !== 0) {
    return `${inputs} input channels are neither fewer than ${block} nor a multiple of it`;
  }
  switch (convMode(conv, block)) {
    case 'blocked':
      if ((inputs / group) % block !== 0) {
        return `${inputs / group} input channels a group are not a multiple of ${block}`;
      }
      break;
    case 'depthwise':
      // The kernel works on B groups at once and writes all of them.
      return group % block === 0 ? null : `depthwise with ${group} channels, not a multiple of ${block}`;
    case 'plain':
      if (group > 1 && !plainGroups) {
        return `${group} groups of ${inputs / group} input channels, fewer than ${block}: ONNX Runtime 1.31 refuses them`;
      }
      break;
  }
  return (outputs / group) % block === 0
    ? null
    : `${outputs / group} output channels a group are not a multiple of ${block}`;
}

/** Why this nchwc.MaxPool must not be emitted, in one line; null when it is right. */
export function blockedPoolProblem(pool: BlockedPool, blockSize: number): string | null {
  const problem = blockedChannelsProblem(pool.channels, blockSize) ?? windowProblem(pool);
  if (problem !== null) return problem;
  return pool.pads.every((pad, i) => pad < pool.kernel[i % 2]!)
    ? null
    : `pads ${list(pool.pads)} reach as far as the kernel ${list(pool.kernel)}`;
}

/** The same for nchwc.GlobalAveragePool and for whatever else takes an image in whole blocks. */
export function blockedChannelsProblem(channels: number, blockSize: number): string | null {
  const problem = blockSizeProblem(blockSize);
  if (problem !== null) return problem;
  return isCount(channels) && channels % blockSize === 0
    ? null
    : `${channels} channels are not a multiple of ${blockSize}`;
}

/**
 * The same for nchwc.ReorderInput of `[N, C, H, W]`, or `[N, H, W, C]` with channels_last. The result has C
 * rounded up to whole blocks; what is added is zero.
 */
export function reorderInputProblem(channels: number, blockSize: number): string | null {
  const problem = blockSizeProblem(blockSize);
  if (problem !== null) return problem;
  return isCount(channels) && channels % 4 === 0 ? null : `${channels} channels are not a multiple of 4`;
}

/** The same for nchwc.ReorderOutput from `blocked` channels to the first `channels` of them. */
export function reorderOutputProblem(blocked: number, channels: number, blockSize: number): string | null {
  const problem = blockedChannelsProblem(blocked, blockSize);
  if (problem !== null) return problem;
  return isCount(channels) && channels <= blocked && blocked - channels < blockSize
    ? null
    : `${channels} of ${blocked} blocked channels: fewer than ${blockSize} may be left out`;
}

function blockSizeProblem(blockSize: number): string | null {
  return blockSize === 8 || blockSize === 16 ? null : `blocks of ${blockSize} channels; known are 8 and 16`;
}

function windowProblem({ kernel, strides, dilations, pads }: Window): string | null {
  if (![...kernel, ...strides, ...dilations].every(isCount)) {
    const window = `kernel ${list(kernel)}, strides ${list(strides)}, dilations ${list(dilations)}`;
    return `${window}: not positive integers`;
  }
  if (!pads.every((pad) => Number.isSafeInteger(pad) && pad >= 0)) {
    return `pads ${list(pads)} are not integers from 0 up`;
  }
  return null;
}

function list(numbers: readonly number[]): string {
  return `[${numbers.join(', ')}]`;
}

function isCount(n: number): boolean {
  return Number.isSafeInteger(n) && n > 0;
}
