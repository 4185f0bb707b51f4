import { expect } from 'chai';
import type { Config } from '../../src/config/schema.js';
import { emitMethod } from '../../src/methods/index.js';
import { manifestText } from '../../src/golden/manifestText.js';
import { modelText } from '../../src/onnx/text.js';
import type { EmittedPrograms } from '../../src/programs/folder.js';
import type { Manifest } from '../../src/programs/manifest.js';
import { tinyConfig } from '../programs/tiny.js';

const base = emitMethod(tinyConfig());
const entryOf = ({ manifest }: EmittedPrograms, name: string) =>
  manifest.graphs.find((graph) => graph.name === name)!;
const names = ({ manifest }: EmittedPrograms) => manifest.graphs.map(({ name }) => name);
/** Graphs whose files differ from those of the base config. */
const changed = (emitted: EmittedPrograms) =>
  emitted.manifest.graphs
    .filter(({ name, sha256 }) => entryOf(base, name)?.sha256 !== sha256)
    .map(({ name }) => name);

describe('methods/mocoV2', () => {
  it('widths 1 and 0.5: the programs of a step in its order, then those of evaluation', () => {
    expect(names(base)).to.deep.equal([
      'momentum',
      'key',
      'query.w1.00',
      'query.w0.50',
      'combine.w0.50',
      'update',
      'embed.w1.00',
      'embed.w0.50',
      'calibrate.w1.00',
      'calibrate.w0.50',
    ]);
  });

  const queries = ['query.w1.00', 'query.w0.50'];
  const cases: [string, Parameters<typeof tinyConfig>[0], string[]][] = [
    ['no distillation', { techniques: { distillation: { kind: 'none' } } }, ['query.w0.50']],
    ['no reweighting', { techniques: { reweighting: { kind: 'none' } } }, ['query.w1.00']],
    ['slow start', { techniques: { slowStart: { kind: 'full-width-first', epochs: 3 } } }, []],
    [
      'non-overlapping weights of one sub-network, which are the first channels',
      { techniques: { weights: 'non-overlapping' } },
      [],
    ],
    ['another temperature', { method: { temperature: 0.1 } }, queries],
    ['another distillation temperature', { techniques: { distillation: { kind: 'kd-logits', teacherTemperature: 4 } } }, ['query.w0.50']], // prettier-ignore
    ['another momentum of the key encoder', { method: { keyMomentum: 0.9 } }, []],
    ['another queue size', { method: { queueSize: 12 } }, queries],
    ['another momentum of the optimiser', { optimizer: { kind: 'sgd', momentum: 0.8 } }, ['update']],
    ['another weight decay, roles that decay, schedule and seed', { seed: 1, schedule: { kind: 'cosine', peak: 0.1 }, optimizer: { kind: 'sgd', weightDecay: 0.1, decay: ['weight'] } }, []], // prettier-ignore
  ];
  for (const [title, input, expected] of cases) {
    it(`${title}: changes ${expected.join(' and ') || 'no graph'}`, () => {
      expect(changed(emitMethod(tinyConfig(input)))).to.deep.equal(expected);
    });
  }

  it('non-overlapping weights of two sub-networks: changes the graphs of the wider one', () => {
    const emitted = (weights: 'overlapping' | 'non-overlapping') =>
      emitMethod(tinyConfig({ widths: [1, 0.5, 0.25], techniques: { weights } })).manifest;
    const [before, after] = [emitted('overlapping'), emitted('non-overlapping')];
    const differing = after.graphs.filter(({ sha256 }, i) => before.graphs[i]!.sha256 !== sha256);
    expect(differing.map(({ name }) => name)).to.deep.equal([
      'query.w0.50',
      'combine.w0.50',
      'embed.w0.50',
      'calibrate.w0.50',
    ]);
    const interfaces = ({ graphs }: Manifest) =>
      graphs.map(({ name, parameters, inputs, outputs }) => ({ name, parameters, inputs, outputs }));
    expect(interfaces(after)).to.deep.equal(interfaces(before));
    expect(before.parameters.some((parameter) => 'starts' in parameter)).to.equal(false);
    const weight = after.parameters.find(({ name }) => name === 'encoder.layer2.0.conv1.weight')!;
    expect(weight.starts).to.deep.equal({ 'w0.50': [8, 4, 0, 0] });
    expect(after.parameters.map(({ starts, ...rest }) => (void starts, rest))).to.deep.equal(
      before.parameters,
    );
    expect(manifestText(after)).to.include('w0.50=[16,8,3,3]@[8,4,0,0] w0.25=[8,4,3,3]\n');
  });

  it('no distillation: no teacher.w1.00 and no distillation loss, and the rest of the interface as before', () => {
    const without = entryOf(
      emitMethod(tinyConfig({ techniques: { distillation: { kind: 'none' } } })),
      'query.w0.50',
    );
    const entry = entryOf(base, 'query.w0.50');
    const lacking = (list: readonly { name: string }[], name: string) =>
      list.filter((item) => item.name !== name);
    expect(without.inputs)
      .to.deep.equal(lacking(entry.inputs, 'teacher.w1.00'))
      .and.not.deep.equal(entry.inputs);
    expect(without.outputs)
      .to.deep.equal(lacking(entry.outputs, 'distillation'))
      .and.not.deep.equal(entry.outputs);
  });

  it('the full width has no teacher', () => {
    expect(entryOf(base, 'query.w1.00').inputs.map(({ name }) => name)).not.to.include('teacher.w1.00');
  });

  it('no reweighting: the graphs compute the same, the default of loss_weight alone is 1 and not 1.5', () => {
    const none = emitMethod(tinyConfig({ techniques: { reweighting: { kind: 'none' } } }));
    const lambda = ({ programs }: EmittedPrograms) => {
      const { model } = programs.find(({ entry }) => entry.name === 'query.w1.00')!;
      const { data } = model.initializers.find(({ name }) => name === 'loss_weight')!;
      return data.kind === 'inline' ? [...data.values] : [];
    };
    expect([lambda(base), lambda(none)]).to.deep.equal([[1.5], [1]]);
    const texts = (emitted: EmittedPrograms) => emitted.programs.map(({ model }) => modelText(model));
    expect(texts(none)).to.deep.equal(texts(base));
  });

  it('one width: no combine, no teacher, and the graphs of the full width as with two', () => {
    const single = emitMethod(tinyConfig({ widths: [1] }));
    expect(names(single)).to.deep.equal([
      'momentum',
      'key',
      'query.w1.00',
      'update',
      'embed.w1.00',
      'calibrate.w1.00',
    ]);
    const text = (emitted: EmittedPrograms, name: string) =>
      modelText(emitted.programs.find(({ entry }) => entry.name === name)!.model);
    for (const name of names(single)) expect(text(single, name), name).to.equal(text(base, name));
  });

  it('ResNet-50 at 224: parameters and multiply-adds with a classifier of 1000 are the published ones', () => {
    const config: Config = tinyConfig({
      widths: [1, 0.75, 0.5, 0.25],
      encoder: { name: 'resnet50', stem: 'imagenet' },
      data: { imageSize: 224 },
    });
    const { manifest } = emitMethod(config);
    const sizes = manifest.widths.map((width, i) => {
      const { parameters, flops } = manifest.graphs.find(
        ({ name }) => name === `embed.${manifest.labels[i]}`,
      )!;
      const channels = 2048 * width;
      return [
        Math.round((parameters + 1000 * (channels + 1)) / 1e5) / 10,
        Math.round((flops / 2 + 1000 * channels) / 1e7) / 100,
      ];
    });
    // METHOD: 25.5M / 4.1G, 14.7M / 2.3G, 6.9M / 1.1G, 2.0M / 278M, cut off or rounded.
    expect(sizes).to.deep.equal([
      [25.6, 4.1],
      [14.8, 2.33],
      [6.9, 1.06],
      [2, 0.28],
    ]);
  });
});
