import { expect } from 'chai';
import type { TensorData } from '../../src/onnx/safetensors.js';
import { latestCheckpoint, readCheckpoint } from '../../src/training/checkpoint.js';

/** What the newest checkpoint of a run holds. */
export async function finalWeights(runFolder: string): Promise<ReadonlyMap<string, TensorData>> {
  return (await readCheckpoint((await latestCheckpoint(runFolder)).path)).tensors;
}

/** Expects two runs to have ended with the same tensors, bit for bit. */
export async function expectSameWeights(
  runFolder: string,
  expectedFolder: string,
  title = '',
): Promise<void> {
  const [expected, actual] = [await finalWeights(expectedFolder), await finalWeights(runFolder)];
  expect([...actual.keys()]).to.deep.equal([...expected.keys()]);
  for (const [name, { data }] of expected) {
    const same = Buffer.compare(Buffer.from(data.buffer), Buffer.from(actual.get(name)!.data.buffer));
    expect(same, `${name} ${title}`).to.equal(0);
  }
}
