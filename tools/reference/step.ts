import type { Config } from '../../src/config/schema.js';
import { SlimclrError } from '../../src/errors.js';
import { decodeModel } from '../../src/onnx/model.js';
import type { TensorData } from '../../src/onnx/safetensors.js';
import { cut, embedded, leading } from '../../src/graph/region.js';
import { blockOf, type GraphEntry, type Manifest, type ParameterEntry } from '../../src/programs/manifest.js';
import { floats, HostGraph, withoutDefaults } from '../../src/engines/hostGraph.js';
import { pack, unpack, wholeBlocks } from '../../src/targets/parameterLayout.js';

type NamedTensors = Map<string, TensorData>;

/** Programs in memory. */
export interface Programs {
  readonly manifest: Manifest;
  /** The graph of that entry as an ONNX file holds it. */
  read(entry: GraphEntry): Uint8Array;
}

/**
 * Keys, losses, logits, statistics and gradients of MoCo v2, of each width and summed, without the code that trains.
 * Inputs and results are named as in README.md; parameters and gradients among them are row-major, whatever layout the
 * graphs keep. A gradient may have more channels than its width uses, as many as fill the kernels' blocks. Parameters of the key encoder that are
 * not among the inputs are the query encoder's.
 */
export async function runGradients(
  programs: Programs,
  inputs: ReadonlyMap<string, TensorData>,
): Promise<NamedTensors> {
  const { labels, graphs, parameters } = programs.manifest;
  const entries = new Map(parameters.map((entry) => [entry.name, entry]));
  const results: NamedTensors = new Map();
  /** Outputs as the graphs pass them on, by the same names. */
  const raw = new Map<string, TensorData>();
  const packed = new Map<string, Float32Array>();
  const feed = (name: string, shape: readonly number[]): TensorData => {
    const plain = name.replace(/^key\./, '');
    const value = inputs.get(name) ?? inputs.get(plain);
    if (!value) throw new SlimclrError(`no value for input ${name}`);
    const source = inputs.has(name) ? name : plain;
    const { layout = 'plain' as const, shape: full = value.shape } = entries.get(plain) ?? {};
    const data = packed.get(source) ?? pack(value.data as Float32Array, full, layout);
    packed.set(source, data);
    return floats(data, shape);
  };
  const runGraph = async (name: string, prefix: string, lookup: (name: string) => TensorData | undefined) => {
    const entry = graph(programs, name);
    const opened = await open(programs, name);
    const outputs = await opened.run(
      Object.fromEntries(
        entry.inputs.map(({ name, shape }) => {
          // A gradient comes in the shape of the operator that computed it.
          const known = lookup(name);
          return [name, known ? { ...known, shape: shape as number[] } : feed(name, shape as number[])];
        }),
      ),
    );
    await opened.close();
    for (const { name, of = '' } of entry.outputs) {
      const tensor = outputs[name]!;
      const parameter = entries.get(of);
      const place = name.startsWith('new.') ? name : prefix + name.replace(/^new_sum\./, 'grad.');
      raw.set(place, tensor);
      results.set(
        place,
        parameter
          ? rowMajorGradient(
              tensor.data as Float32Array,
              parameter,
              name.startsWith('grad.') ? entry.width : undefined,
            )
          : tensor,
      );
    }
  };

  const image = (view: string) => {
    return inputs.get(view)!;
  };
  await runGraph('key', '', (name) => (name === 'images' ? image('view2') : undefined));
  for (const label of labels) {
    const name = `query.${label}`;
    const lossWeight = defaultOf(programs, graph(programs, name), 'loss_weight');
    await runGraph(name, `${label}.`, (input) => {
      if (input === 'images') return image('view1');
      if (input.startsWith('teacher.')) return raw.get(`${input.slice('teacher.'.length)}.logits`);
      return input === 'loss_weight' ? lossWeight : undefined;
    });
  }
  for (const { name, width } of graphs.filter(({ kind }) => kind === 'combine')) {
    await runGraph(name, '', (input) => {
      if (input.startsWith('grad.')) return raw.get(`${width}.${input}`);
      const gradient = `grad.${input.slice('sum.'.length)}`;
      return raw.get(gradient) ?? raw.get(`${labels[0]}.${gradient}`);
    });
  }
  for (const { name, slices } of parameters) {
    // What only one width trains needs no sum.
    const [only] = Object.keys(slices);
    if (!results.has(`grad.${name}`)) results.set(`grad.${name}`, results.get(`${only}.grad.${name}`)!);
  }
  return results;
}

function graph({ manifest }: Programs, name: string): GraphEntry {
  return manifest.graphs.find((entry) => entry.name === name)!;
}

function open(programs: Programs, name: string): Promise<HostGraph> {
  const { config, optimization } = programs.manifest;
  const model = withoutDefaults(decodeModel(programs.read(graph(programs, name))));
  return HostGraph.open(model, (config as Config).runtime, { optimization });
}

/**
 * The gradient of a parameter as a graph returns it, in the parameter's layout: of a width the block it uses,
 * rounded up to the layout's blocks, of no width the whole. A block that is not the leading one comes as the whole
 * gradient, zeros around it.
 */
export function rowMajorGradient(data: Float32Array, parameter: ParameterEntry, width?: string): TensorData {
  const { shape, layout, slices, starts } = parameter;
  const used = (width !== undefined && slices[width]) || shape;
  const rounded = wholeBlocks(used, layout);
  const block = unpack(data, rounded, layout);
  if (width === undefined || !starts?.[width]) return { dtype: 'float32', shape: rounded, data: block };
  const region = blockOf(parameter, width);
  return { dtype: 'float32', shape, data: embedded(cut(block, rounded, leading(used)), region, shape) };
}

/** The value a graph file gives to an input that nobody feeds; what the file says is part of what is compared. */
function defaultOf(programs: Programs, entry: GraphEntry, input: string): TensorData {
  const { initializers } = decodeModel(programs.read(entry), entry.file);
  const { type, data } = initializers.find(({ name }) => name === input) ?? {};
  if (data?.kind !== 'inline') throw new SlimclrError(`${entry.file}: input ${input} has no default`);
  return floats(data.values as Float32Array, type!.shape as number[]);
}
