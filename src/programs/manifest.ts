import type { ElementType } from '../onnx/model.js';
import { leading, type Region } from '../graph/region.js';
import type { ParameterLayout } from '../targets/parameterLayout.js';

/** `manifest.json` of a program folder. README.md beside this file explains every field and name. */

/** What a parameter is; decides initialisation and weight decay. */
export type ParameterRole = 'weight' | 'bias' | 'gamma' | 'beta';

export interface ParameterEntry {
  /** Name in `weights.safetensors` and of the graphs' input, e.g. `encoder.layer1.0.conv1.weight`. */
  readonly name: string;
  /** Shape at full width. */
  readonly shape: readonly number[];
  readonly role: ParameterRole;
  /** Order of its elements in memory, in the weights file and in every input and output that holds it. */
  readonly layout: ParameterLayout;
  readonly decay: boolean;
  /**
   * For each width (its label, e.g. `w0.25`) that uses this parameter: the shape of the block it uses, the leading
   * one, `parameter[:d0, :d1, ...]`, unless `starts` says otherwise. A switchable batch norm's parameters have one
   * entry only.
   */
  readonly slices: Readonly<Record<string, readonly number[]>>;
  /** Where the blocks start that do not start at the first element; absent where all do. */
  readonly starts?: Readonly<Record<string, readonly number[]>>;
}

/** The block of a parameter that a width uses, by its label. Throws where it uses none. */
export function blockOf({ name, slices, starts }: ParameterEntry, label: string): Region {
  const shape = slices[label];
  if (!shape) throw new Error(`width ${label} does not use ${name}`);
  const start = starts?.[label];
  return start ? { start, shape } : leading(shape);
}

/** A running statistic of batch norm; not trained by gradient. */
export interface StatisticEntry {
  /** e.g. `encoder.bn1.w0.25.running_mean`; the key encoder's have the prefix `key.`. */
  readonly name: string;
  readonly shape: readonly number[];
  readonly width: string;
  readonly encoder: 'query' | 'key';
}

/** `data`: fed on every run. The others have a default in the file (an overridable initializer). */
export type InputKind = 'data' | 'scalar' | 'parameter' | 'statistic';

export interface InputEntry {
  readonly name: string;
  readonly dtype: ElementType;
  /** A string is a symbolic dimension. */
  readonly shape: readonly (number | string)[];
  readonly kind: InputKind;
}

export interface OutputEntry {
  readonly name: string;
  readonly dtype: ElementType;
  readonly shape: readonly (number | string)[];
  /** The parameter a gradient belongs to, the statistic or parameter a new value replaces. */
  readonly of?: string;
  /** Of a gradient: the shape in which its elements are stored, where the graph gives them in another. */
  readonly stored?: readonly number[];
}

export type GraphKind =
  | 'query'
  | 'key'
  | 'momentum'
  | 'features'
  | 'normalize'
  | 'combine'
  | 'accumulate'
  | 'norm'
  | 'update'
  | 'embed'
  | 'calibrate'
  | 'probe'
  | 'finetune';

export interface GraphEntry {
  /** e.g. `query.w0.25`. */
  readonly name: string;
  readonly kind: GraphKind;
  /** Label of the width, where the graph is of one. */
  readonly width?: string;
  readonly file: string;
  /** SHA-256 of the file, hexadecimal. */
  readonly sha256: string;
  /** Floating-point operations of one run (a multiply-add counts as two). */
  readonly flops: number;
  /** Parameters the graph reads, counted by elements of the slices it uses. */
  readonly parameters: number;
  readonly inputs: readonly InputEntry[];
  readonly outputs: readonly OutputEntry[];
}

export interface Manifest {
  readonly format: 'slimclr-programs';
  readonly version: 1;
  /** Version of this package that wrote the folder. */
  readonly generator: string;
  readonly method: string;
  readonly target: string;
  readonly opset: number;
  /** Whether ONNX Runtime is to optimise the graphs when it loads them. */
  readonly optimization: 'all' | 'disabled';
  /** Widths, descending, and their labels in the same order. */
  readonly widths: readonly number[];
  readonly labels: readonly string[];
  readonly weights: string;
  readonly config: unknown;
  readonly parameters: readonly ParameterEntry[];
  readonly statistics: readonly StatisticEntry[];
  readonly graphs: readonly GraphEntry[];
}

/** `w1.00`, `w0.25`, `w0.125`: how a width is written in file, graph and parameter names. */
export function widthLabel(width: number): string {
  const short = width.toFixed(2);
  return `w${Number(short) === width ? short : String(width)}`;
}
