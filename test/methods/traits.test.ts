import { expect } from 'chai';
import { traitsOf, type MethodName } from '../../src/config/methods.js';
import { configSchema, type ConfigInput } from '../../src/config/schema.js';
import { methodPrograms, needsOf } from '../../src/methods/index.js';
import { names } from '../../src/programs/names.js';

const methods: Readonly<Record<MethodName, NonNullable<ConfigInput['method']>>> = {
  'moco-v2': { kind: 'moco-v2', queueSize: 32 },
  'moco-v3': { kind: 'moco-v3', hiddenDimension: 8, dimension: 4 },
  simclr: { kind: 'simclr', hiddenDimension: 8, dimension: 4 },
  supervised: { kind: 'supervised' },
  seed: { kind: 'seed', queueSize: 32, teacher: 'teacher.onnx' },
};

describe('what the checks of a config know of a method', () => {
  for (const [kind, method] of Object.entries(methods)) {
    it(`${kind}: is what its network and programs are`, () => {
      const config = configSchema.parse({ widths: [1, 0.5], batchSize: 8, data: { imageSize: 8 }, method });
      const { embeds, models, normalizesHeads, viewsOfBatch } = traitsOf(config.method);
      const { network, programs } = methodPrograms(config);
      const query = programs.find((program) => program.kind === 'query')!;
      expect([...query.graph.outputs.keys()].includes(names.embedding)).to.equal(embeds);
      const images = query.graph.inputs.find(({ name }) => name === names.images)!;
      expect(images.dims[0]).to.equal(viewsOfBatch * config.batchSize);
      const inHeads = network.declarations.statistics.filter(({ name }) => !name.startsWith('encoder.'));
      expect(inHeads.length > 0).to.equal(normalizesHeads);
      expect(needsOf(config).models.map(({ key }) => key)).to.deep.equal(models);
    });
  }
});
