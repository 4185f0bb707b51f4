import { expect } from 'chai';
import { loadConfig, withAssignments } from '../../src/config/load.js';
import { emitMethod } from '../../src/methods/index.js';
import { modelText } from '../../src/onnx/text.js';
import type { EmittedPrograms } from '../../src/programs/folder.js';

const kinds = ['moco-v2', 'moco-v3', 'simclr', 'supervised', 'seed'] as const;

/** ResNet-20 with three widths on 8x8 pixels: the programs of each method, portable. */
function emitted(kind: (typeof kinds)[number], ...set: string[]): EmittedPrograms {
  const methods = {
    'moco-v2': ['method.queueSize=16'],
    'moco-v3': ['method.hiddenDimension=32'],
    simclr: ['method.hiddenDimension=32'],
    supervised: [],
    seed: ['method.queueSize=16', 'method.teacher=teacher.onnx'],
  };
  const base = [
    'widths=[1,0.5,0.25]',
    'batchSize=4',
    'data.imageSize=8',
    'runtime.target=portable',
    'epochs=10',
  ];
  const config = loadConfig({ set: [...base, `method.kind=${kind}`, ...methods[kind]] });
  return emitMethod(withAssignments(config, set));
}

/** Graphs that differ between two, by name: changed, or only in one of them. */
function changed(a: EmittedPrograms, b: EmittedPrograms): string[] {
  const hashes = ({ manifest }: EmittedPrograms) =>
    new Map(manifest.graphs.map(({ name, sha256 }) => [name, sha256]));
  const [left, right] = [hashes(a), hashes(b)];
  return [...new Set([...left.keys(), ...right.keys()])].filter((name) => left.get(name) !== right.get(name));
}

/** The same by what the graphs compute: where their weights lie in the file does not count, nor do defaults. */
function changedText(a: EmittedPrograms, b: EmittedPrograms): string[] {
  const texts = ({ programs }: EmittedPrograms) =>
    new Map(programs.map(({ entry, model }) => [entry.name, modelText(model)]));
  const [left, right] = [texts(a), texts(b)];
  return [...new Set([...left.keys(), ...right.keys()])].filter((name) => left.get(name) !== right.get(name));
}

const queries = ['query.w1.00', 'query.w0.50', 'query.w0.25'];
const narrow = queries.slice(1);
const combines = ['combine.w0.50', 'combine.w0.25'];

describe('methods: each technique changes the graphs that it should and no other', () => {
  for (const kind of kinds) {
    const base = emitted(kind);
    const differs = (...set: string[]) => changed(base, emitted(kind, ...set));

    it(`${kind}: slow start, schedule, seed and monitor change none`, () => {
      expect(
        differs(
          'techniques.slowStart.kind=full-width-first',
          'techniques.slowStart.epochs=5',
          'schedule.kind=step',
          'schedule.epochs=[4]',
          'seed=7',
          'monitor.kind=knn',
          'diagnostics.everySteps=5',
        ),
      ).to.deep.equal([]);
    });

    it(`${kind}: distillation changes the sub-networks' queries`, () => {
      const variants = ['none', 'mse-logits', 'dkd', 'atkd'];
      if (kind !== 'supervised') variants.push('kd-features', 'mse-features');
      for (const variant of variants) {
        expect(differs(`techniques.distillation.kind=${variant}`), variant).to.deep.equal(narrow);
      }
      // The width below the full one has one larger width anyway.
      expect(differs('techniques.distillation.teachers=larger')).to.deep.equal(['query.w0.25']);
    });

    it(`${kind}: re-weighting changes the default loss weights that differ`, () => {
      expect(differs('techniques.reweighting.kind=none')).to.deep.equal(['query.w1.00']);
      expect(differs('techniques.reweighting.kind=second-largest')).to.deep.equal(['query.w1.00']);
      expect(differs('techniques.reweighting.kind=width')).to.deep.equal(queries);
    });

    it(`${kind}: a switchable head changes the queries, and the sum, which the heads are not in`, () => {
      const found = changedText(base, emitted(kind, 'techniques.head=switchable'));
      const keyed = kind === 'moco-v2' || kind === 'moco-v3' ? ['key'] : [];
      expect(found).to.deep.equal([...keyed, ...queries, ...combines]);
      const shared = emitted(kind, 'techniques.head=switchable').manifest.graphs.filter(
        ({ kind }) => kind === 'combine',
      );
      const inputs = shared.flatMap(({ inputs }) => inputs.map(({ name }) => name));
      expect(inputs.filter((name) => !/^(grad|sum)\.encoder\./.test(name))).to.deep.equal([]);
    });

    it(`${kind}: the optimiser changes its own graphs, clipping adds one`, () => {
      expect(differs('optimizer.nesterov=true')).to.deep.equal(['update']);
      expect(differs('optimizer.kind=adamw')).to.deep.equal(['update']);
      expect(differs('optimizer.kind=lars')).to.deep.equal(['update.tensor']);
      expect(differs('optimizer.clipNorm=1')).to.have.members(['norm', 'update']);
    });

    it(`${kind}: one width, no combine and no teacher`, () => {
      const { manifest } = emitted(kind, 'widths=[1]');
      expect(manifest.graphs.filter(({ kind }) => kind === 'combine')).to.deep.equal([]);
      const [query, ...others] = manifest.graphs.filter(({ kind }) => kind === 'query');
      expect(others).to.deep.equal([]);
      expect(query!.inputs.filter(({ name }) => name.startsWith('teacher.'))).to.deep.equal([]);
    });
  }

  it('accumulation: adds the sum over micro-batches; MoCo v3 has one anyway, for its two directions', () => {
    const found = (kind: (typeof kinds)[number]) => changed(emitted(kind), emitted(kind, 'accumulation=2'));
    expect(found('moco-v2')).to.deep.equal(['accumulate']);
    expect(found('supervised')).to.deep.equal(['accumulate']);
    expect(found('moco-v3')).to.deep.equal(queries);
    const features = ['features.w1.00', 'features.w0.50', 'features.w0.25'];
    expect(found('simclr')).to.have.members([...features, ...queries, 'accumulate']);
  });

  it('the encoder is the same under every method', () => {
    const evaluation = ({ manifest }: EmittedPrograms) =>
      manifest.graphs
        .filter(({ kind }) => kind === 'calibrate')
        .map(({ name, inputs, outputs }) => ({ name, inputs, outputs }));
    for (const kind of kinds) expect(evaluation(emitted(kind))).to.deep.equal(evaluation(emitted('moco-v2')));
  });
});
