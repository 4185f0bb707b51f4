import { z } from 'zod';
import { leading, type Region } from '../graph/region.js';
import { elementFormats, type ElementType } from '../onnx/model.js';
import { parameterRoles, type ParameterRole } from '../nn/parameter.js';
import { plainNameSchema } from '../plainFile.js';
import { sha256Schema, type Json } from '../readJson.js';
import { parameterLayouts } from '../targets/parameterLayout.js';

export type { ParameterRole };

/** `manifest.json` of a program folder. README.md beside this file explains every field and name. */

const count = z.int().min(0);
const dimension = count.max(2 ** 31 - 1);
const shape = z.array(dimension);
/** A string is a symbolic dimension. */
const symbolicShape = z.array(z.union([dimension, z.string()]));
const dtype = z.enum(Object.keys(elementFormats) as [ElementType, ...ElementType[]]);

/** What a parameter is; decides initialisation and weight decay. */

const parameterSchema = z.object({
  /** Name in `weights.safetensors` and of the graphs' input, e.g. `encoder.layer1.0.conv1.weight`. */
  name: z.string(),
  /** Shape at full width. */
  shape,
  role: z.enum(parameterRoles),
  /** Order of its elements in memory, in the weights file and in every input and output that holds it. */
  layout: z.enum(parameterLayouts),
  decay: z.boolean(),
  /**
   * For each width (its label, e.g. `w0.25`) that uses this parameter: the shape of the block it uses, the leading
   * one, `parameter[:d0, :d1, ...]`, unless `starts` says otherwise. A switchable batch norm's parameters have one
   * entry only.
   */
  slices: z.record(z.string(), shape),
  /** Where the blocks start that do not start at the first element; absent where all do. */
  starts: z.record(z.string(), shape).exactOptional(),
});

/** A running statistic of batch norm; not trained by gradient. */
const statisticSchema = z.object({
  /** e.g. `encoder.bn1.w0.25.running_mean`; the key encoder's have the prefix `key.`. */
  name: z.string(),
  shape,
  width: z.string(),
  encoder: z.enum(['query', 'key']),
});

const inputSchema = z.object({
  name: z.string(),
  dtype,
  shape: symbolicShape,
  /** `data`: fed on every run. The others have a default in the file (an overridable initializer). */
  kind: z.enum(['data', 'scalar', 'parameter', 'statistic']),
});

const outputSchema = z.object({
  name: z.string(),
  dtype,
  shape: symbolicShape,
  /** The parameter a gradient belongs to, the statistic or parameter a new value replaces. */
  of: z.string().exactOptional(),
  /** Of a gradient: the shape in which its elements are stored, where the graph gives them in another. */
  stored: shape.exactOptional(),
});

const graphKinds = [
  'query',
  'key',
  'momentum',
  'features',
  'normalize',
  'combine',
  'accumulate',
  'norm',
  'update',
  'embed',
  'calibrate',
  'probe',
  'finetune',
] as const;

const graphSchema = z.object({
  /** e.g. `query.w0.25`. */
  name: z.string(),
  kind: z.enum(graphKinds),
  /** Label of the width, where the graph is of one. */
  width: z.string().exactOptional(),
  /** A file of the same folder. */
  file: plainNameSchema,
  /** SHA-256 of the file, hexadecimal. */
  sha256: sha256Schema,
  /** Floating-point operations of one run (a multiply-add counts as two). */
  flops: z.number().min(0),
  /** Parameters the graph reads, counted by elements of the slices it uses. */
  parameters: count,
  inputs: z.array(inputSchema),
  outputs: z.array(outputSchema),
});

export const manifestSchema = z.object({
  format: z.literal('slimclr-programs'),
  version: z.literal(1),
  /** Version of this package that wrote the folder. */
  generator: z.string(),
  method: z.string(),
  target: z.string(),
  opset: z.int().positive(),
  /** Whether ONNX Runtime is to optimise the graphs when it loads them. */
  optimization: z.enum(['all', 'disabled']),
  /** Widths, descending, and their labels in the same order. */
  widths: z.array(z.number().gt(0).max(1)),
  labels: z.array(z.string()),
  /** A file of the same folder. */
  weights: plainNameSchema,
  config: z.unknown(),
  parameters: z.array(parameterSchema),
  statistics: z.array(statisticSchema),
  graphs: z.array(graphSchema),
});

/**
 * A parameter: its shape at full width, and the block that each width uses.
 * @interface
 */
export type ParameterEntry = Json<typeof parameterSchema>;
/**
 * A running statistic of batch norm.
 * @interface
 */
export type StatisticEntry = Json<typeof statisticSchema>;
/**
 * An input of a program.
 * @interface
 */
export type InputEntry = Json<typeof inputSchema>;
/**
 * Whether an input has a default, and which.
 * @useDeclaredType
 */
export type InputKind = InputEntry['kind'];
/**
 * An output of a program.
 * @interface
 */
export type OutputEntry = Json<typeof outputSchema>;
/**
 * What a program computes.
 * @useDeclaredType
 */
export type GraphKind = (typeof graphKinds)[number];
/**
 * A program: its file, inputs and outputs.
 * @interface
 */
export type GraphEntry = Json<typeof graphSchema>;
/**
 * `manifest.json` of a program folder (src/programs/README.md).
 * @interface
 */
export type Manifest = Json<typeof manifestSchema>;

/** The block of a parameter that a width uses, by its label. Throws where it uses none. */
export function blockOf({ name, slices, starts }: ParameterEntry, label: string): Region {
  const shape = slices[label];
  if (!shape) throw new Error(`width ${label} does not use ${name}`);
  const start = starts?.[label];
  return start ? { start, shape } : leading(shape);
}
