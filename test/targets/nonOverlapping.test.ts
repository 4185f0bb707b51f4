import { expect } from 'chai';
import { parseConfig } from '../../src/config/load.js';
import { cut, type Region } from '../../src/graph/region.js';
import { methodPrograms } from '../../src/methods/index.js';
import type { TensorData } from '../../src/onnx/safetensors.js';
import { emitPrograms } from '../../src/programs/folder.js';
import { blockOf } from '../../src/programs/manifest.js';
import { cpuTarget } from '../../src/targets/cpu/index.js';
import { portable } from '../../src/targets/portable.js';
import type { Target } from '../../src/targets/target.js';
import { drawGradientInputs } from '../../tools/reference/inputs.js';
import { runGradients } from '../../tools/reference/step.js';

const config = parseConfig({
  widths: [1, 0.5, 0.25],
  data: { imageSize: 16 },
  batchSize: 4,
  method: { kind: 'moco-v2', queueSize: 16, dimension: 8 },
  // A sub-network that is taught depends on all weights.
  techniques: { weights: 'non-overlapping', distillation: { kind: 'none' } },
  runtime: { threads: 2 },
});

function emitted(target: Target) {
  const { network, programs } = methodPrograms(config);
  const used = programs.filter(({ kind }) => ['key', 'query', 'combine'].includes(kind));
  const { manifest, programs: files } = emitPrograms(network, config, target, used);
  const bytes = new Map(files.map(({ entry, bytes }) => [entry.name, bytes]));
  return { manifest, read: ({ name }: { name: string }) => bytes.get(name)! };
}

/** Whether each element of a row-major tensor lies in a region of it. */
function mask(shape: readonly number[], { start, shape: size }: Region): boolean[] {
  const length = shape.reduce((a, b) => a * b, 1);
  return Array.from({ length }, (_, i) => {
    let rest = i;
    let inside = true;
    for (let axis = shape.length - 1; axis >= 0; axis--) {
      const at = (rest % shape[axis]!) - start[axis]!;
      inside &&= at >= 0 && at < size[axis]!;
      rest = Math.floor(rest / shape[axis]!);
    }
    return inside;
  });
}

describe('targets: non-overlapping weights, widths 1, 0.5 and 0.25', function () {
  this.timeout(60_000);
  for (const target of [portable, cpuTarget(16)]) {
    const programs = emitted(target);
    const { parameters, labels } = programs.manifest;
    const values = drawGradientInputs(programs.manifest, config, { seed: 0 });

    it(`${target.name}: what lies outside a sub-network's blocks has no influence on it, what lies inside has`, async () => {
      const before = await runGradients(programs, values);
      for (const label of ['w0.50', 'w0.25']) {
        const changed = new Map(values);
        for (const parameter of parameters) {
          const { name, shape } = parameter;
          if (!(label in parameter.slices)) continue;
          const inside = mask(shape, blockOf(parameter, label));
          const data = (values.get(name)!.data as Float32Array).map((x, i) => (inside[i] ? x : 3 - 2 * x));
          changed.set(name, { ...values.get(name)!, data });
        }
        const after = await runGradients(programs, changed);
        const own = (results: ReadonlyMap<string, TensorData>, label: string) =>
          [...results].filter(([name]) => name.startsWith(`${label}.`));
        expect(own(after, label).length).to.be.greaterThan(20);
        for (const [name, { data }] of own(after, label)) {
          expect(Array.from(data as Float32Array), name).to.deep.equal(
            Array.from(before.get(name)!.data as Float32Array),
          );
        }
        for (const other of labels.filter((other) => other !== label)) {
          expect(after.get(`${other}.loss`)!.data[0], other).to.not.equal(
            before.get(`${other}.loss`)!.data[0],
          );
        }
      }
    });

    it(`${target.name}: a summed gradient is the full width's, plus in its block that of each sub-network`, async () => {
      const results = await runGradients(programs, values);
      let alone = 0;
      for (const parameter of parameters.filter(({ slices }) => Object.keys(slices).length > 1)) {
        const { name, shape } = parameter;
        const sum = results.get(`grad.${name}`)!.data as Float32Array;
        const expected = Array.from(results.get(`w1.00.grad.${name}`)!.data as Float32Array);
        const touched = expected.map(() => false);
        for (const label of ['w0.25', 'w0.50']) {
          const block = blockOf(parameter, label);
          const found = results.get(`${label}.grad.${name}`)!;
          const gradient = cut(found.data as Float32Array, found.shape, block);
          let at = 0;
          for (const [i, inside] of mask(shape, block).entries()) {
            if (!inside) continue;
            expected[i]! += gradient[at++]!;
            touched[i] = true;
          }
        }
        const scale = Math.max(...expected.map(Math.abs));
        for (const [i, value] of expected.entries()) {
          if (touched[i]) expect(sum[i], name).to.be.closeTo(value, 1e-6 * scale);
          else if (sum[i] !== value) expect.fail(`${name}: ${sum[i]} is not ${value}`);
          else alone += 1;
        }
      }
      expect(alone).to.be.greaterThan(1000);
    });
  }
});
