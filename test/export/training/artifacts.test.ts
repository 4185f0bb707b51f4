import { expect } from 'chai';
import { architectures } from '../../../src/encoders/index.js';
import { trainingArtifacts } from '../../../src/export/training/artifacts.js';
import { trainableLayers } from '../../../src/export/training/trainableLayers.js';
import { decodeModel, elementCount } from '../../../src/onnx/model.js';
import type { Weights } from '../../../src/programs/bindWeights.js';
import type { Network } from '../../../src/programs/network.js';
import { subjectOf } from './subject.js';

const namesOf = (values: readonly { readonly name: string }[]) => values.map(({ name }) => name);

describe('training artifacts', function () {
  this.timeout(60_000);

  for (const trainable of trainableLayers) {
    describe(`${trainable}, ResNet-20 at width 0.5`, () => {
      const { files, trained, frozen } = trainingArtifacts(subjectOf(0.5, trainable), true);
      const training = decodeModel(files['training_model.onnx']);
      const evaluation = decodeModel(files['eval_model.onnx']);

      it('inputs and outputs as the on-device API names them, any batch', () => {
        const parameters = namesOf([...trained, ...frozen]);
        expect(namesOf(training.inputs)).to.have.members([
          'images',
          'labels',
          'lazy_reset_grad',
          ...parameters,
          ...namesOf(trained).map((name) => `${name}_grad.accumulation.buffer`),
        ]);
        expect(namesOf(training.outputs)).to.deep.equal([
          'loss',
          'logits',
          ...namesOf(trained).map((name) => `${name}_grad.accumulation.out`),
        ]);
        expect(namesOf(evaluation.inputs)).to.have.members(['images', 'labels', ...parameters]);
        expect(namesOf(evaluation.outputs)).to.deep.equal(['loss', 'logits']);
        for (const { inputs } of [training, evaluation]) {
          const types = new Map(inputs.map(({ name, type }) => [name, type]));
          expect(types.get('images')).to.deep.equal({ dtype: 'float32', shape: ['batch', 3, 16, 16] });
          expect(types.get('labels')).to.deep.equal({ dtype: 'int64', shape: ['batch'] });
        }
      });

      it('versions and metadata', () => {
        for (const model of [training, evaluation]) {
          expect(model.irVersion).to.be.at.most(10);
          expect(model.opsets['']).to.equal(17);
          expect(model.metadata).to.include({
            width: '0.5',
            classes: '["cat","dog","fox"]',
            imageSize: '16',
          });
        }
        expect(evaluation.opsets).to.deep.equal({ '': 17 });
      });

      it('trains what it says', () => {
        const parts = new Set(namesOf(trained).map((name) => name.replace(/^encoder\.(\w+).*/, '$1')));
        const expected = {
          classifier: [],
          stage: ['layer3'],
          all: ['conv1', 'bn1', 'layer1', 'layer2', 'layer3'],
        }[trainable];
        expect([...parts]).to.have.members([...expected, 'classifier.weight', 'classifier.bias']);
        expect(frozen.length > 0).to.equal(trainable !== 'all');
      });

      it('batch norm is folded where it is not trained; its statistics are constants', () => {
        const norms = { classifier: 0, stage: 7, all: 21 }[trainable];
        const count = evaluation.nodes.filter(({ opType }) => opType === 'BatchNormalization').length;
        expect(count).to.equal(norms);
        const constants = evaluation.initializers.filter(({ name }) => name.includes('running_'));
        expect(constants).to.have.lengthOf(2 * norms);
      });
    });
  }

  it('the same weights give the same bytes', () => {
    const [one, two] = [1, 2].map(() => trainingArtifacts(subjectOf(0.5, 'stage'), true).files);
    expect(one).to.deep.equal(two);
  });

  for (const name of Object.keys(architectures) as (keyof typeof architectures)[]) {
    for (const stem of ['cifar', 'imagenet'] as const) {
      it(`${name}, stem ${stem}: one gradient a convolution, none of the images`, () => {
        for (const width of [1, 0.5]) {
          const input = { encoder: { name, stem }, data: { imageSize: 32 } };
          const { files } = trainingArtifacts(subjectOf(width, 'all', input, constantWeights), true);
          const { nodes } = decodeModel(files['training_model.onnx']);
          const gradients = nodes.filter(({ opType }) => opType === 'ConvGrad');
          expect(gradients.length).to.equal(nodes.filter(({ opType }) => opType === 'Conv').length);
          expect(gradients.filter(({ outputs }) => outputs[0] === '')).to.have.lengthOf(1);
        }
      });
    }
  }
});

function constantWeights({ declarations }: Network): Weights {
  const tensors = [...declarations.parameters, ...declarations.statistics];
  return new Map(
    tensors.map(({ name, shape }) => [
      name,
      { dtype: 'float32', shape, data: new Float32Array(elementCount(shape)).fill(1) },
    ]),
  );
}
