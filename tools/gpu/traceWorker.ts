/**
 * `node traceWorker.js FOLDER GRAPH RUNS`: runs a graph of a program folder on the engine of its config and prints its
 * kernels, longest first, as JSON. Started with CUDA_LAUNCH_BLOCKING=1, so that a node takes as long as its kernels.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Config } from '../../src/config/schema.js';
import type { ElementType, Place } from '../../src/engines/engine.js';
import { replicaOptions } from '../../src/engines/engineOptions.js';
import { openEngine } from '../../src/engines/openEngine.js';
import { SlimclrError } from '../../src/errors.js';
import { elementCount } from '../../src/onnx/model.js';
import { readTrace } from '../../src/profile/trace.js';
import type { InputEntry } from '../../src/programs/manifest.js';
import { readManifest } from '../../src/programs/readManifest.js';
import { Random } from '../../src/random.js';

const [folder = '', name = '', runs = '5'] = process.argv.slice(2);
/** What stands for a dimension that is not fixed. */
const symbolic = 2 ** 20;
/** Runs that say nothing yet. */
const skipped = 2;

try {
  const manifest = await readManifest(folder);
  const entry = manifest.graphs.find((graph) => graph.name === name)!;
  const engine = await openEngine(replicaOptions((manifest.config as Config).runtime));
  const traceFolder = mkdtempSync(join(tmpdir(), 'slimclr-trace-'));
  const place = (type: ElementType, dims: InputEntry['shape']): Place => {
    const shape = dims.map((size) => (typeof size === 'string' ? symbolic : size));
    return { memory: engine.allocate(type, elementCount(shape)), offset: 0, shape };
  };
  try {
    const { optimization } = manifest;
    const graph = await engine.load(join(folder, entry.file), { name, optimization, traceFolder });
    const random = new Random(0);
    const inputs: Record<string, Place> = {};
    // Parameters, statistics and weights of losses have defaults.
    for (const { name, dtype, shape, kind } of entry.inputs) {
      if (kind !== 'data') continue;
      const given = place(dtype as ElementType, shape);
      if (dtype === 'float32') {
        const values = Float32Array.from({ length: given.memory.count }, () => random.normal());
        await engine.write(given.memory as Place<'float32'>['memory'], values);
      }
      inputs[name] = given;
    }
    const outputs = entry.outputs.map(({ name, dtype, shape }) => [name, place(dtype as ElementType, shape)]);
    const binding = engine.bind(graph, inputs, Object.fromEntries(outputs) as Record<string, Place>);
    for (let i = 0; i < skipped + Number(runs); i++) await engine.run(binding);
    const trace = await graph.endTrace();
    process.stdout.write(JSON.stringify(await readTrace(trace, skipped)));
  } finally {
    rmSync(traceFolder, { recursive: true });
    await engine.close();
  }
} catch (error) {
  if (!(error instanceof SlimclrError)) throw error;
  console.error(error.message);
  process.exitCode = 1;
}
