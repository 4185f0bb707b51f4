import { expect } from 'chai';
import { checkConfig } from '../../src/config/check.js';
import { configSchema, targetName, type Config, type ConfigInput } from '../../src/config/schema.js';
import { UsageError } from '../../src/errors.js';
import { Graph, type Value } from '../../src/graph/graph.js';
import { networkOf } from '../../src/methods/index.js';
import { Forward } from '../../src/nn/forward.js';
import { Builder } from '../../src/ops/builder.js';

const check = (input: ConfigInput) => checkConfig(configSchema.parse(input));

describe('checkConfig', () => {
  it('queue 1000, batch 64: not a multiple', () => {
    expect(check({ batchSize: 64, method: { kind: 'moco-v2', queueSize: 1000 } })).to.deep.equal([
      'method.queueSize 1000 is not a multiple of batchSize 64; accepted: multiples of 64',
    ]);
    expect(check({ batchSize: 64, method: { kind: 'moco-v2', queueSize: 1024 } })).to.be.empty;
  });

  it('shuffled keys with one micro-batch: refused, with several accepted', () => {
    const on = { method: { kind: 'moco-v2', queueSize: 1024, shuffleKeys: 'on' }, batchSize: 64 } as const;
    expect(check(on)).to.deep.equal([
      'method.shuffleKeys "on" is of no use to accumulation 1, whose images are one batch in any order; ' +
        'accepted: "auto", "off", or accumulation of at least 2',
    ]);
    expect(check({ ...on, accumulation: 2 })).to.be.empty;
  });

  it('slow start at or after the last epoch: refused with sub-networks, accepted with one width', () => {
    const late = { epochs: 8, techniques: { slowStart: { kind: 'full-width-first', epochs: 8 } } } as const;
    expect(check(late)).to.deep.equal([
      'techniques.slowStart.epochs 8 is not below epochs 8, so the sub-networks would never train; accepted: 1 to 7',
    ]);
    expect(check({ ...late, epochs: 1 })[0]).to.match(/; accepted: none of them, or epochs of at least 2$/);
    expect(check({ ...late, techniques: { slowStart: { kind: 'full-width-first', epochs: 7 } } })).to.be
      .empty;
    expect(check({ ...late, widths: [1] })).to.be.empty;
  });

  it('ResNet-20 to 56 have the cifar stem only', () => {
    for (const name of ['resnet20', 'resnet32', 'resnet44', 'resnet56'] as const) {
      expect(check({ encoder: { name, stem: 'imagenet' } })).to.deep.equal([
        `encoder.stem "imagenet" does not exist for encoder.name "${name}"; accepted: "cifar"`,
      ]);
    }
    expect(check({ encoder: { name: 'resnet18', stem: 'imagenet' } })).to.be.empty;
  });

  it('a width without a channel in the first layer: 16 channels in ResNet-20, 64 in ResNet-18', () => {
    expect(check({ widths: [1, 0.05] })).to.deep.equal([
      'widths holds 0.05, which leaves no channel of the 16 in the first layer of resnet20; accepted: at least 0.0625',
    ]);
    expect(check({ widths: [1, 0.05], encoder: { name: 'resnet18' } })).to.be.empty;
  });

  it('a target on a provider that does not execute its graphs: refused, those that it does accepted', () => {
    expect(check({ runtime: { target: 'cpu', provider: 'webgpu' } })).to.deep.equal([
      'runtime.target "cpu" does not run on runtime.provider "webgpu"; accepted: "auto", "portable", "webgpu"',
    ]);
    expect(check({ runtime: { target: 'cpu', provider: 'cuda' } })).to.deep.equal([
      'runtime.target "cpu" does not run on runtime.provider "cuda"; accepted: "auto", "portable", "cuda"',
    ]);
    expect(check({ runtime: { target: 'cuda', provider: 'webgpu' } })).to.deep.equal([
      'runtime.target "cuda" does not run on runtime.provider "webgpu"; accepted: "auto", "portable", "webgpu"',
    ]);
    expect(check({ runtime: { target: 'webgpu', provider: 'cuda' } })).to.deep.equal([
      'runtime.target "webgpu" does not run on runtime.provider "cuda"; accepted: "auto", "portable", "cuda"',
    ]);
    for (const provider of ['webgpu', 'cpu'] as const) {
      expect(check({ runtime: { target: 'webgpu', provider } })).to.be.empty;
    }
    for (const provider of ['cuda', 'cpu'] as const) {
      expect(check({ runtime: { target: 'cuda', provider } })).to.be.empty;
      expect(check({ runtime: { target: 'portable', provider } })).to.be.empty;
    }
    expect(check({ runtime: { target: 'ort-training', provider: 'webgpu' } })).to.deep.equal([
      'runtime.target "ort-training" needs the operators of onnxruntime-training, which runtime.engine "in-process" has ' +
        'not; accepted: runtime.engine "python"',
      'runtime.target "ort-training" does not run on runtime.provider "webgpu"; accepted: "auto", "portable", "webgpu"',
    ]);
    for (const provider of ['cuda', 'cpu'] as const) {
      expect(check({ runtime: { target: 'ort-training', engine: 'python', provider } })).to.be.empty;
    }
    expect(check({ runtime: { target: 'cpu' } })).to.be.empty;
    expect(check({ runtime: { provider: 'webgpu' } })).to.be.empty;
    expect(check({ runtime: { engine: 'python', provider: 'webgpu' } })).to.deep.equal([
      'runtime.provider "webgpu" does not go with runtime.engine "python"; accepted: "cpu", "cuda"',
    ]);
    expect(check({ runtime: { engine: 'python', target: 'cpu' } })).to.deep.equal([
      'runtime.target "cpu" does not go with runtime.engine "python"; accepted: "auto", "portable", "cuda", "webgpu", "ort-training"',
    ]);
    expect(check({ runtime: { python: '/opt/bin/python' } })).to.deep.equal([
      'runtime.python "/opt/bin/python" is of no use to runtime.engine "in-process"; accepted: runtime.engine "python"',
    ]);
    expect(check({ runtime: { engine: 'python', python: '/opt/bin/python' } })).to.be.empty;
    expect(check({ runtime: { engine: 'python', library: '/opt/libonnxruntime.so' } })).to.deep.equal([
      'runtime.library "/opt/libonnxruntime.so" is of no use to runtime.engine "python"; accepted: runtime.engine "in-process"',
    ]);
    expect(check({ runtime: { library: '/opt/libonnxruntime.so' } })).to.be.empty;
    const cuda = { device: 1, tf32: false, graphs: true };
    expect(check({ runtime: { provider: 'cuda', cuda } })).to.be.empty;
    expect(check({ runtime: { cuda } })).to.deep.equal([
      'runtime.cuda.device 1 is of no use to runtime.provider "cpu"; accepted: runtime.provider "cuda"',
      'runtime.cuda.tf32 false is of no use to runtime.provider "cpu"; accepted: runtime.provider "cuda"',
      'runtime.cuda.graphs true is of no use to runtime.provider "cpu"; accepted: runtime.provider "cuda"',
    ]);
    expect(check({ runtime: { engine: 'python', provider: 'cuda', cuda: { graphs: true } } })).to.deep.equal([
      'runtime.cuda.graphs true does not go with runtime.engine "python"; accepted: runtime.engine "in-process"',
    ]);
    expect(check({ accumulation: 4, runtime: { replicas: 3 } })).to.deep.equal([
      'runtime.replicas 3 cannot share accumulation 4 equally; accepted: divisors of 4',
    ]);
    expect(check({ accumulation: 2, runtime: { provider: 'webgpu', replicas: 2 } })).to.deep.equal([
      'runtime.replicas 2 on runtime.provider "webgpu", which has one device; accepted: 1',
    ]);
    expect(check({ accumulation: 4, runtime: { replicas: 4 } })).to.be.empty;
  });

  it('float16 on the cpu target or on WebGPU: refused; on auto it is portable', () => {
    expect(check({ runtime: { precision: 'float16', target: 'cpu' } })).to.deep.equal([
      'runtime.precision "float16" does not go with runtime.target "cpu"; ' +
        'accepted: "float32", or runtime.target "auto", "portable", "cuda"',
    ]);
    expect(check({ runtime: { precision: 'float16', provider: 'webgpu' } })).to.deep.equal([
      'runtime.precision "float16" does not go with runtime.provider "webgpu"; ' +
        'accepted: "float32", or runtime.provider "cpu", "cuda"',
    ]);
    for (const provider of ['cpu', 'cuda'] as const) {
      const { runtime } = configSchema.parse({ runtime: { precision: 'float16', provider } });
      expect(check({ runtime })).to.be.empty;
      expect(targetName(runtime)).to.equal(provider === 'cpu' ? 'portable' : 'cuda');
    }
    expect(targetName(configSchema.parse({}).runtime)).to.equal('cpu');
  });

  it('a loss scale that is no power of 2, or below 1: refused', () => {
    for (const initial of [3, 0.5, 0, 2 ** 127, Infinity]) {
      expect(configSchema.safeParse({ runtime: { lossScale: { initial } } }).success, `${initial}`).to.equal(
        false,
      );
    }
    expect(configSchema.safeParse({ runtime: { lossScale: { initial: 1 } } }).success).to.equal(true);
  });

  it('a data limit below one batch, and a warm-up from above the peak', () => {
    expect(check({ batchSize: 64, data: { limit: 63 } })).to.deep.equal([
      'data.limit 63 does not fill one batch of batchSize 64; accepted: 0 (all images) or at least 64',
    ]);
    expect(check({ batchSize: 64, data: { limit: 64 } })).to.be.empty;
    expect(check({ schedule: { kind: 'cosine', peak: 0.1, warmupFrom: 0.2 } })).to.deep.equal([
      'schedule.warmupFrom 0.2 is above schedule.peak 0.1; accepted: 0 to 0.1',
    ]);
  });

  it('a warm-up from above the peak of slow start: refused where it lasts longer than slow start', () => {
    const config = (warmup: number, peak: number) =>
      check({
        epochs: 10,
        schedule: { kind: 'cosine', peak: 0.3, warmup, warmupFrom: 0.2 },
        techniques: { slowStart: { kind: 'full-width-first', epochs: 5, peak } },
      });
    expect(config(0.6, 0.1)).to.deep.equal([
      'schedule.warmupFrom 0.2 is above techniques.slowStart.peak 0.1; accepted: 0 to 0.1',
    ]);
    expect(config(0.5, 0.1)).to.be.empty;
    expect(config(0.6, 0.2)).to.be.empty;
    expect(config(0.6, 0)).to.be.empty;
  });

  it('the SHA-256 of initial weights without their file is refused', () => {
    expect(checkConfig(configSchema.parse({ init: { sha256: 'a'.repeat(64) } }))).to.deep.equal([
      'init.sha256 is of no use without init.file; accepted: both, or init.file alone',
    ]);
  });

  it('contradictions are all reported, in order', () => {
    expect(
      check({ epochs: 1, batchSize: 3, techniques: { slowStart: { kind: 'full-width-first', epochs: 1 } } }),
    ).to.have.length(2);
  });

  it('batch norm over one value per channel: the layer, its map and the batch, and what is accepted', () => {
    const tiny = { widths: [1], techniques: { distillation: { kind: 'none' } } } satisfies ConfigInput;
    expect(
      check({
        ...tiny,
        batchSize: 1,
        encoder: { name: 'resnet18', stem: 'imagenet' },
        data: { imageSize: 32 },
      }),
    ).to.deep.equal([
      'batchSize 1 leaves batch norm one value per channel in encoder.layer4, whose map is 1x1 at data.imageSize 32; ' +
        'accepted: batchSize of at least 2, or data.imageSize of at least 33',
    ]);
    expect(check({ ...tiny, batchSize: 1, data: { imageSize: 32, viewSize: 2 } })).to.deep.equal([
      'batchSize 1 leaves batch norm one value per channel in encoder.layer2, whose map is 1x1 at data.viewSize 2; ' +
        'accepted: batchSize of at least 2, or data.viewSize of at least 5',
    ]);
    expect(check({ ...tiny, batchSize: 1, accumulation: 2, method: { kind: 'moco-v3' } })).to.deep.equal([
      'batchSize 1 leaves batch norm one value per channel in the heads of moco-v3; accepted: at least 2',
    ]);
  });

  it('refuses the batches that the graphs of a method refuse, and no others', () => {
    for (const kind of ['moco-v2', 'moco-v3', 'simclr', 'supervised'] as const) {
      for (const [name, stem] of [
        ['resnet20', 'cifar'],
        ['resnet18', 'cifar'],
        ['resnet18', 'imagenet'],
      ] as const) {
        for (const imageSize of [1, 2, 4, 5, 8, 9, 16, 17, 32, 33]) {
          const config = configSchema.parse({
            widths: [1],
            techniques: { distillation: { kind: 'none' } },
            encoder: { name, stem },
            data: { imageSize },
            method: { kind, ...(kind === 'moco-v2' && { queueSize: 2 }) },
            batchSize: 1,
            accumulation: 2,
            runtime: { target: 'portable' },
          });
          const subject = `${kind} ${name} ${stem} ${imageSize}`;
          const oneValue = /one value per channel/;
          if (checkConfig(config).some((problem) => oneValue.test(problem))) {
            expect(() => passes(config), subject).to.throw(UsageError, oneValue);
          } else passes(config);
        }
      }
    }
  });

  it('an operator of the graph builder: refused, too', () => {
    const b = new Builder(new Graph('one'));
    const input = (name: string, shape: number[]) => b.graph.input(name, { dtype: 'float32', shape });
    const [gamma, beta] = [input('gamma', [4]), input('beta', [4])];
    const normalize = (x: Value) => b.op('BatchNormTrain', [x, gamma, beta], { epsilon: 1e-5 });
    expect(() => normalize(input('x', [1, 4, 1, 1]))).to.throw(
      'X [1,4,1,1] has one value per channel, at least 2 are accepted',
    );
    normalize(input('y', [1, 4, 1, 2]));
  });

  /** A training pass of encoder and head. */
  function passes(config: Config): void {
    const network = networkOf(config);
    const f = new Forward(new Builder(new Graph('pass')), 1, 'train');
    const size = config.data.imageSize;
    const images = f.b.graph.input('images', {
      dtype: 'float32',
      shape: [config.method.kind === 'simclr' ? 2 : 1, 3, size, size],
    });
    network.head.forward(f, network.encoder.forward(f, images));
  }
});
