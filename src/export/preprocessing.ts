import { z } from 'zod';
import type { Config } from '../config/schema.js';
import { shortSide } from '../data/transform.js';
import type { Json } from '../readJson.js';
import type { ExportForm } from './form.js';

const pixels = z.int().min(1);
/** A number of each channel. */
const channels = z.array(z.number()).min(1);

/** What the channels of images are: `rgb`; one of grey; or bands, as files have them. */
export const channelOrders = ['rgb', 'grey', 'bands'] as const;

/** What a model does itself, in the graph. */
export const inGraphSteps = ['resize', 'crop', 'normalize'] as const;

/**
 * What becomes of an image before the encoder, whole: resize, crop, `(sample * scale - mean) / std` by channel. README.md
 * in this folder has it in words.
 */
export const preprocessingSchema = z.object({
  /** The steps that the model does itself; whoever runs it does the others. */
  inGraph: z.array(z.enum(inGraphSteps)),
  /** Width and height of the images that are neither resized nor cropped. */
  untouched: z.tuple([pixels, pixels]),
  /** What the short side is resized to, in pixels. */
  shortSide: pixels,
  /** How the long side, `shortSide * long / short`, becomes an integer. */
  longSide: z.literal('floor'),
  filter: z.literal('bilinear'),
  /** Whether the filter is as wide as the scale says when an image shrinks. */
  antialias: z.literal(true),
  /** Of the resized values to bytes. */
  rounding: z.literal('none'),
  /** The square begins at `(side - size) / 2`, rounded, a half to the even neighbour. */
  crop: z.object({ size: pixels, offset: z.literal('half-even') }),
  /** Of what the model takes. */
  layout: z.enum(['nchw', 'nhwc']),
  order: z.enum(channelOrders),
  /** 1 / 255, or 1 / 65535 where images keep 16 bits. */
  scale: z.number(),
  mean: channels,
  std: channels,
});

/**
 * What becomes of an image before the encoder.
 * @interface
 */
export type Preprocessing = Json<typeof preprocessingSchema>;

/** What is known of the images of a model. */
export type InputImages = Pick<Config['data'], 'channels' | 'depth' | 'imageSize' | 'mean' | 'std'>;

/** The preprocessing of a model of a form; `imageSize` is the model's. */
export function preprocessingOf(
  { channels, depth, imageSize, mean, std }: InputImages,
  { input, resize }: Pick<ExportForm, 'input' | 'resize'>,
): Preprocessing {
  const bytes = input === 'uint8-nhwc';
  return {
    inGraph: [...(resize ? (['resize', 'crop'] as const) : []), ...(bytes ? (['normalize'] as const) : [])],
    untouched: [imageSize, imageSize],
    shortSide: shortSide(imageSize),
    longSide: 'floor',
    filter: 'bilinear',
    antialias: true,
    rounding: 'none',
    crop: { size: imageSize, offset: 'half-even' },
    layout: bytes ? 'nhwc' : 'nchw',
    order: channels === 3 ? 'rgb' : channels === 1 ? 'grey' : 'bands',
    scale: depth === 16 ? 1 / 65_535 : 1 / 255,
    mean,
    std,
  };
}
