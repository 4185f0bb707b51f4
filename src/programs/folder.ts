import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { Config } from '../config/schema.js';
import { sameShape, type Graph } from '../graph/graph.js';
import { sha256 } from '../onnx/hash.js';
import { encodeModel, elementCount, type OnnxModel } from '../onnx/model.js';
import { layoutSafetensors, writeSafetensors, type TensorData } from '../onnx/safetensors.js';
import { replaceFile } from '../replaceFile.js';
import { emit } from '../targets/emit.js';
import { lower } from '../targets/lower.js';
import { pack, storedShape, type ParameterLayout } from '../targets/parameterLayout.js';
import type { ParameterPlaces, Target } from '../targets/target.js';
import { version } from '../version.js';
import { weightValues, type Weights } from './bindWeights.js';
import { countFlops } from './flops.js';
import type { Statistic } from '../nn/parameter.js';
import { initialWeights } from './initialWeights.js';
import { keyPrefix } from './key.js';
import type { GraphEntry, InputKind, Manifest, ParameterEntry, StatisticEntry } from './manifest.js';
import { widthLabel } from '../nn/widthLabel.js';
import type { Network } from './network.js';
import type { Program } from './program.js';

export const manifestFile = 'manifest.json';
const weightsFile = 'weights.safetensors';

/** A program lowered and emitted. */
export interface EmittedProgram {
  readonly entry: GraphEntry;
  readonly model: OnnxModel;
  readonly bytes: Uint8Array;
}

export interface EmittedPrograms {
  readonly manifest: Manifest;
  readonly programs: readonly EmittedProgram[];
}

/** The graphs of programs as a target has them, without what becomes of them in files. */
export function lowerPrograms(
  network: Network,
  config: Config,
  target: Target,
  programs: readonly Program[],
): Graph[] {
  const layouts = layoutsOf(parameterEntries(network, config, target));
  return programs.map((program) => lower(program.graph, target, parameterPlaces(program, layouts)));
}

function layoutsOf(parameters: readonly ParameterEntry[]): ReadonlyMap<string, ParameterLayout> {
  return new Map(parameters.map(({ name, layout }) => [name, layout]));
}

/**
 * Lowers and emits programs for a target, with the manifest that describes them. Nothing is written, and no
 * weight is drawn: the same arguments give the same bytes.
 */
export function emitPrograms(
  network: Network,
  config: Config,
  target: Target,
  programs: readonly Program[],
): EmittedPrograms {
  const { widths } = config;
  const parameters = parameterEntries(network, config, target);
  const statistics = statisticEntries(network, programs);
  const { tensors } = layoutSafetensors(weightTypes(network, target, statistics));
  const kindOf = new Map<string, InputKind>();
  for (const { name } of parameters) {
    kindOf.set(name, 'parameter');
    kindOf.set(keyPrefix + name, 'parameter');
  }
  for (const { name } of statistics) kindOf.set(name, 'statistic');

  const layouts = layoutsOf(parameters);

  const emitted = programs.map((program): EmittedProgram => {
    const { name, kind, width, graph, scalars = [], outputsOf } = program;
    const flops = countFlops(graph);
    const places = parameterPlaces(program, layouts);
    const lowered = lower(graph, target, places);
    const model = emit(lowered, {
      opset: target.opset,
      version,
      weights: {
        location: weightsFile,
        find(tensor) {
          const { offset, length } = tensors.get(tensor)!;
          return { offset, length };
        },
      },
    });
    const bytes = encodeModel(model);
    const inputKind = (input: string): InputKind =>
      kindOf.get(input) ?? (scalars.includes(input) ? 'scalar' : 'data');
    const entry: GraphEntry = {
      name,
      kind,
      ...(width !== undefined && { width }),
      file: `${name}.onnx`,
      sha256: sha256(bytes),
      flops,
      parameters: countParameters(model, parameters, width),
      inputs: model.inputs.map(({ name, type }) => ({ name, ...type, kind: inputKind(name) })),
      outputs: model.outputs.map(({ name, type }) => {
        const of = outputsOf?.get(name);
        const layout = places.outputs.get(name);
        const stored = layout && storedShape(graph.outputs.get(name)!.dims, layout);
        return {
          name,
          ...type,
          ...(of !== undefined && { of }),
          ...(stored && !sameShape(stored, type.shape) && { stored }),
        };
      }),
    };
    return { entry, model, bytes };
  });
  const manifest: Manifest = {
    format: 'slimclr-programs',
    version: 1,
    generator: version,
    method: config.method.kind,
    target: target.name,
    opset: target.opset,
    optimization: target.optimization,
    widths,
    labels: widths.map(widthLabel),
    weights: weightsFile,
    config,
    parameters,
    statistics,
    graphs: emitted.map(({ entry }) => entry),
  };
  return { manifest, programs: emitted };
}

/**
 * Writes the folder of emitted programs: graphs, manifest, and the initial weights, drawn from the config's seed where
 * `given`, row-major, has none of a name.
 */
export async function writePrograms(
  folder: string,
  { manifest, programs }: EmittedPrograms,
  network: Network,
  config: Config,
  given: Weights = new Map(),
): Promise<void> {
  await mkdir(folder, { recursive: true });
  const weights = new Map<string, TensorData>(initialWeights(network.declarations, config.seed));
  for (const [name, { shape }] of weights) {
    if (given.has(name))
      weights.set(name, { dtype: 'float32', shape, data: weightValues(given, name, shape) });
  }
  // The key network starts as a copy of the query's: its parameters are the same tensors, its statistics its own.
  for (const { name } of manifest.statistics.filter(({ encoder }) => encoder === 'key')) {
    weights.set(name, weights.get(name.slice(keyPrefix.length))!);
  }
  for (const { name, shape, layout } of manifest.parameters) {
    weights.set(name, {
      dtype: 'float32',
      shape: storedShape(shape, layout),
      data: pack(weights.get(name)!.data as Float32Array, shape, layout),
    });
  }
  // Replaced, not written in place: a link of that name would lead elsewhere.
  await replaceFile(join(folder, weightsFile), (partial) => writeSafetensors(partial, weights));
  for (const { entry, bytes } of programs) {
    await replaceFile(join(folder, entry.file), bytes);
  }
  const text = `${JSON.stringify(manifest, null, 2)}\n`;
  await replaceFile(join(folder, manifestFile), text);
}

/**
 * Parameters in arena order: those that decay first, and within each group those of the full width first. So
 * whatever treats a group alike, and whatever a full-width-only phase leaves alone, is a contiguous range.
 */
function parameterEntries(network: Network, { widths, optimizer }: Config, target: Target): ParameterEntry[] {
  const full = widthLabel(widths[0]!);
  const entries = network.declarations.parameters.map(({ name, shape, role, slice }): ParameterEntry => {
    const blocks = widths.flatMap((width) => {
      const block = slice(width);
      return block ? [[widthLabel(width), block] as const] : [];
    });
    const moved = blocks.filter(([, { start }]) => start.some((from) => from !== 0));
    return {
      name,
      shape,
      role,
      layout: target.layout?.(shape) ?? 'plain',
      decay: optimizer.decay.includes(role),
      slices: Object.fromEntries(blocks.map(([label, { shape }]) => [label, shape])),
      ...(moved.length > 0 && {
        starts: Object.fromEntries(moved.map(([label, { start }]) => [label, start])),
      }),
    };
  });
  const group = ({ decay, slices }: ParameterEntry) => (decay ? 0 : 2) + (full in slices ? 0 : 1);
  return entries.sort((a, b) => group(a) - group(b));
}

/** Which inputs and outputs of a program hold a parameter, a block of one or its gradient. */
function parameterPlaces(
  { graph, inputsOf, outputsOf }: Program,
  layouts: ReadonlyMap<string, ParameterLayout>,
): ParameterPlaces {
  const placed = (names: Iterable<readonly [string, string]>) =>
    new Map([...names].flatMap(([name, of]) => (layouts.has(of) ? [[name, layouts.get(of)!]] : [])));
  const read = [...graph.defaults].flatMap(([{ name }, fallback]) =>
    fallback.kind === 'weights' ? [[name, fallback.tensor] as const] : [],
  );
  return { inputs: placed([...read, ...(inputsOf ?? [])]), outputs: placed(outputsOf ?? []) };
}

/** Statistics of the query network, all widths, and those that the key program moves. */
function statisticEntries({ declarations }: Network, programs: readonly Program[]): StatisticEntry[] {
  const entry = (encoder: 'query' | 'key', prefix: string) => (s: Statistic) => ({
    name: prefix + s.name,
    shape: s.shape,
    width: widthLabel(s.width),
    encoder,
  });
  const key = programs.find(({ kind }) => kind === 'key');
  const moved = new Set(key?.outputsOf?.values());
  return [
    ...declarations.statistics.map(entry('query', '')),
    ...declarations.statistics.filter(({ name }) => moved.has(keyPrefix + name)).map(entry('key', keyPrefix)),
  ];
}

/** Names and types of the tensors of the weights file, in its order: that of `initialWeights`, then the key network's. */
function weightTypes({ declarations }: Network, target: Target, statistics: readonly StatisticEntry[]) {
  const named = (name: string, shape: readonly number[]) => ({
    name,
    type: { dtype: 'float32', shape } as const,
  });
  return [
    ...declarations.parameters.map(({ name, shape }) =>
      named(name, storedShape(shape, target.layout?.(shape) ?? 'plain')),
    ),
    ...statistics.map(({ name, shape }) => named(name, shape)),
  ];
}

/** Elements of the parameter blocks that a graph reads. */
function countParameters(model: OnnxModel, parameters: readonly ParameterEntry[], label?: string): number {
  if (label === undefined) return 0;
  const read = new Set(
    model.inputs.map(({ name }) => (name.startsWith(keyPrefix) ? name.slice(keyPrefix.length) : name)),
  );
  return parameters
    .filter(({ name }) => read.has(name))
    .reduce((sum, { slices }) => sum + elementCount(slices[label] ?? [0]), 0);
}
