import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Tensor } from 'onnxruntime-node';
import type { Config } from '../../src/config/schema.js';
import { SlimclrError } from '../../src/errors.js';
import { decodeModel } from '../../src/onnx/model.js';
import type { TensorData } from '../../src/onnx/safetensors.js';
import type { GraphEntry, Manifest } from '../../src/programs/manifest.js';
import { Session } from '../../src/runtime/session.js';
import { pack, unpack, type ParameterLayout } from '../../src/targets/parameterLayout.js';

type Tensors = Map<string, TensorData>;

/**
 * One training step of a program folder, graph by graph in the order of training, without the trainer:
 * momentum, key, queries, combine, update. Inputs and results are named as in README.md; parameters and gradients
 * among them are row-major, whatever layout the folder keeps. A gradient may have more channels than its width
 * uses, as many as fill the kernels' blocks.
 */
export async function runStep(
  folder: string,
  manifest: Manifest,
  inputs: ReadonlyMap<string, TensorData>,
  { learningRate, weightDecay }: { learningRate: number; weightDecay: number },
): Promise<Tensors> {
  const { method, runtime } = manifest.config as Config;
  const results: Tensors = new Map();
  /** Gradients as the graphs pass them on. */
  const packed: Tensors = new Map();
  const layouts = new Map(manifest.parameters.map(({ name, layout }) => [name, layout]));
  const layoutOf = (name = ''): ParameterLayout => layouts.get(name.replace(/^key\./, '')) ?? 'plain';
  const open = (name: string): Promise<Session> => Session.open(folder, manifest, name, runtime);

  const key = await open('key');
  const momentum = await open('momentum');
  for (const { name } of key.entry.inputs.filter(({ kind }) => kind === 'parameter')) {
    const tensor = inputs.get(name)!;
    const values = new Map([
      ['query', flat(inputs.get(name.replace(/^key\./, '')))],
      ['key', flat(tensor)],
      ['momentum', { dtype: 'float64', shape: [], data: Float64Array.of(method.keyMomentum) } as const],
    ]);
    const outputs = await run(momentum, (input) => values.get(input));
    results.set(`new.${name}`, { ...outputs.get('new_key')!, shape: tensor.shape });
  }
  await momentum.close();
  const embedded = await run(key, (name) =>
    name === 'images'
      ? inputs.get('view2')
      : laidOut(results.get(`new.${name}`) ?? inputs.get(name), layoutOf(name)),
  );
  await key.close();
  for (const [name, value] of embedded) results.set(name, value);

  for (const label of manifest.labels) {
    const query = await open(`query.${label}`);
    const lossWeight = defaultOf(folder, query.entry, 'loss_weight');
    const outputs = await run(query, (name) => {
      if (name === 'images') return inputs.get('view1');
      if (name === 'teacher_logits') return results.get(`${manifest.labels[0]}.logits`);
      return name === 'loss_weight' ? lossWeight : laidOut(inputs.get(name), layoutOf(name));
    });
    await query.close();
    for (const { name, of } of query.entry.outputs) {
      const value = outputs.get(name)!;
      packed.set(`${label}.${name}`, value);
      results.set(name.startsWith('new.') ? name : `${label}.${name}`, rowMajor(value, layoutOf(of)));
    }
  }

  if (manifest.graphs.some(({ kind }) => kind === 'combine')) {
    const combine = await open('combine');
    const outputs = await run(combine, (name) => packed.get(name));
    for (const { name, of } of combine.entry.outputs) {
      results.set(name, rowMajor(outputs.get(name)!, layoutOf(of)));
    }
    await combine.close();
  }

  const update = await open('update');
  for (const { name, shape, decay, slices } of manifest.parameters) {
    // What only one width trains needs no sum.
    const gradient = results.get(`grad.${name}`) ?? results.get(`${Object.keys(slices)[0]}.grad.${name}`)!;
    results.set(`grad.${name}`, gradient);
    const values = new Map([
      ['parameter', flat(inputs.get(name))],
      ['gradient', flat(gradient)],
      ['velocity', flat(inputs.get(`velocity.${name}`))],
      ['learning_rate', scalar(learningRate)],
      ['weight_decay', scalar(decay ? weightDecay : 0)],
    ]);
    const outputs = await run(update, (input) => values.get(input));
    results.set(`new.${name}`, { ...outputs.get('new_parameter')!, shape });
    results.set(`new.velocity.${name}`, { ...outputs.get('new_velocity')!, shape });
  }
  await update.close();
  return results;
}

/** Runs a graph on what `lookup` gives for its inputs. */
async function run(session: Session, lookup: (name: string) => TensorData | undefined): Promise<Tensors> {
  const feeds: Record<string, Tensor> = {};
  for (const { name } of session.entry.inputs) {
    const value = lookup(name);
    if (!value) throw new SlimclrError(`graph ${session.entry.name}: no value for input ${name}`);
    feeds[name] = new Tensor(value.data as Float32Array | Float64Array, value.shape);
  }
  const outputs = Object.entries(await session.run(feeds));
  return new Map(
    outputs.map(([name, { data, dims }]) => [
      name,
      { dtype: 'float32', shape: dims, data: data as Float32Array },
    ]),
  );
}

/** The value a graph file gives to an input that nobody feeds; what the file says is part of what is compared. */
function defaultOf(folder: string, { file }: GraphEntry, input: string): TensorData {
  const { initializers } = decodeModel(readFileSync(join(folder, file)), file);
  const { type, data } = initializers.find(({ name }) => name === input) ?? {};
  if (data?.kind !== 'inline') throw new SlimclrError(`${file}: input ${input} has no default`);
  return { dtype: 'float32', shape: type!.shape as number[], data: data.values };
}

function scalar(value: number): TensorData {
  return { dtype: 'float32', shape: [], data: Float32Array.of(value) };
}

/** A parameter as the graphs read it. */
function laidOut(tensor: TensorData | undefined, layout: ParameterLayout): TensorData | undefined {
  return tensor && { ...tensor, data: pack(tensor.data as Float32Array, tensor.shape, layout) };
}

/** The inverse of `laidOut`. */
function rowMajor(tensor: TensorData, layout: ParameterLayout): TensorData {
  return { ...tensor, data: unpack(tensor.data as Float32Array, tensor.shape, layout) };
}

function flat(tensor: TensorData | undefined): TensorData | undefined {
  return tensor && { ...tensor, shape: [tensor.data.length] };
}
