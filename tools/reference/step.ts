import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { InferenceSession, Tensor } from 'onnxruntime-node';
import type { Config } from '../../src/config/schema.js';
import { SlimclrError } from '../../src/errors.js';
import { decodeModel, encodeModel } from '../../src/onnx/model.js';
import type { TensorData } from '../../src/onnx/safetensors.js';
import type { GraphEntry, GraphKind, Manifest } from '../../src/programs/manifest.js';

type Lookup = (name: string) => TensorData | undefined;

/**
 * One training step of a program folder, graph by graph in the order of training, without the trainer:
 * momentum, key, queries, combine, update. Inputs and results are named as in README.md.
 */
export async function runStep(
  folder: string,
  manifest: Manifest,
  inputs: ReadonlyMap<string, TensorData>,
  { learningRate, weightDecay }: { learningRate: number; weightDecay: number },
): Promise<Map<string, TensorData>> {
  const { method } = manifest.config as Config;
  const results = new Map<string, TensorData>();
  const find = (kind: GraphKind, width?: string): GraphEntry => {
    const entry = manifest.graphs.find((graph) => graph.kind === kind && graph.width === width);
    if (entry) return entry;
    throw new SlimclrError(`${folder}: manifest.json lists no ${kind} graph${width ? ` of ${width}` : ''}`);
  };

  const key = await Graph.open(folder, find('key', manifest.labels[0]));
  const momentum = await Graph.open(folder, find('momentum'));
  for (const { name } of key.entry.inputs.filter(({ kind }) => kind === 'parameter')) {
    const values = new Map([
      ['query', flat(inputs.get(name.replace(/^key\./, '')))],
      ['key', flat(inputs.get(name))],
      ['momentum', scalar(method.keyMomentum)],
    ]);
    const { new_key: moved } = await momentum.run((input) => values.get(input));
    results.set(`new.${name}`, { ...moved!, shape: inputs.get(name)!.shape });
  }
  const keyOutputs = await key.run((name) =>
    name === 'images' ? inputs.get('view2') : (results.get(`new.${name}`) ?? inputs.get(name)),
  );
  for (const [name, value] of Object.entries(keyOutputs)) results.set(name, value);

  for (const label of manifest.labels) {
    const query = await Graph.open(folder, find('query', label));
    const outputs = await query.run((name) => {
      if (name === 'images') return inputs.get('view1');
      if (name === 'keys') return results.get('keys');
      if (name === 'teacher_logits') return results.get(`${manifest.labels[0]}.logits`);
      return inputs.get(name);
    });
    for (const [name, value] of Object.entries(outputs)) {
      results.set(name.startsWith('new.') ? name : `${label}.${name}`, value);
    }
  }

  const combine = await Graph.open(folder, find('combine'));
  const gradients = await combine.run((name) => results.get(name));
  for (const [name, value] of Object.entries(gradients)) results.set(name, value);

  const update = await Graph.open(folder, find('update'));
  for (const { name, shape, decay } of manifest.parameters) {
    const values = new Map([
      ['parameter', flat(inputs.get(name))],
      ['gradient', flat(results.get(`grad.${name}`))],
      ['velocity', flat(inputs.get(`velocity.${name}`))],
      ['learning_rate', scalar(learningRate)],
      ['weight_decay', scalar(decay ? weightDecay : 0)],
    ]);
    const { new_parameter, new_velocity } = await update.run((input) => values.get(input));
    results.set(`new.${name}`, { ...new_parameter!, shape });
    results.set(`new.velocity.${name}`, { ...new_velocity!, shape });
  }
  return results;
}

/** A graph of a program folder, ready to run. */
class Graph {
  private constructor(
    readonly entry: GraphEntry,
    private readonly session: InferenceSession,
    /** Values that the file gives to inputs nobody feeds. */
    private readonly defaults: ReadonlyMap<string, TensorData>,
  ) {}

  static async open(folder: string, entry: GraphEntry): Promise<Graph> {
    const model = decodeModel(readFileSync(join(folder, entry.file)), entry.file);
    const isInput = new Set(model.inputs.map(({ name }) => name));
    const defaults = new Map<string, TensorData>();
    for (const { name, type, data } of model.initializers) {
      if (isInput.has(name) && data.kind === 'inline') {
        defaults.set(name, { dtype: type.dtype, shape: type.shape as number[], data: data.values });
      }
    }
    // onnxruntime-node ignores what is fed for an input that has a default, so the defaults are taken out.
    const initializers = model.initializers.filter(({ name }) => !isInput.has(name));
    const session = await InferenceSession.create(encodeModel({ ...model, initializers }));
    return new Graph(entry, session, defaults);
  }

  async run(lookup: Lookup): Promise<Record<string, TensorData>> {
    const feeds: Record<string, Tensor> = {};
    for (const { name } of this.entry.inputs) {
      const value = lookup(name) ?? this.defaults.get(name);
      if (!value) throw new SlimclrError(`graph ${this.entry.name}: no value for input ${name}`);
      feeds[name] = new Tensor('float32', value.data as Float32Array, value.shape);
    }
    const outputs: Record<string, TensorData> = {};
    for (const [name, { data, dims }] of Object.entries(await this.session.run(feeds))) {
      outputs[name] = { dtype: 'float32', shape: dims, data: data as Float32Array };
    }
    return outputs;
  }
}

function scalar(value: number): TensorData {
  return { dtype: 'float32', shape: [], data: Float32Array.of(value) };
}

function flat(tensor: TensorData | undefined): TensorData | undefined {
  return tensor && { ...tensor, shape: [tensor.data.length] };
}
