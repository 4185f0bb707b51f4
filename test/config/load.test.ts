import { expect } from 'chai';
import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { presets } from '../../src/config/presets.js';
import { loadConfig, parseConfig } from '../../src/config/load.js';
import { UsageError } from '../../src/errors.js';
import { removeFolder } from '../support/removeFolder.js';

/** The message of the UsageError that `action` must throw. */
function usageError(action: () => unknown): string {
  try {
    action();
  } catch (error) {
    expect(error).to.be.instanceOf(UsageError);
    const { message } = error as UsageError;
    expect(message).to.not.include('\n');
    return message;
  }
  return expect.fail('nothing was thrown');
}

const setError = (...set: string[]) => usageError(() => loadConfig({ set }));

describe('loadConfig', () => {
  let folder: string;
  before(() => (folder = mkdtempSync(join(tmpdir(), 'slimclr-config-'))));
  after(() => removeFolder(folder));

  function file(content: unknown): string {
    const path = join(folder, 'config.json');
    writeFileSync(path, typeof content === 'string' ? content : JSON.stringify(content));
    return path;
  }

  it('no source: the defaults of the schema', () => {
    const config = loadConfig({});
    expect(config.widths).to.deep.equal([1, 0.75, 0.5, 0.25]);
    expect(config.techniques.distillation).to.deep.equal({
      kind: 'kd-logits',
      weight: 0.5,
      teachers: 'full',
      teacherTemperature: 5,
      studentTemperature: 5,
    });
  });

  it('the file wins over the preset, an assignment over the file', () => {
    const path = file({ epochs: 150, method: { queueSize: 2048, temperature: 0.15 } });
    const config = loadConfig({
      preset: 'cifar10-resnet20',
      file: path,
      set: ['method.queueSize=768'],
    });
    expect(config.method).to.include({ queueSize: 768, temperature: 0.15, keyMomentum: 0.99 });
    expect(config).to.include({ epochs: 150, batchSize: 64 });
  });

  it('a preset named in the file is its base; the preset argument replaces it', () => {
    const path = file({ preset: 'cifar10-resnet20', seed: 7 });
    expect(loadConfig({ file: path })).to.include({ seed: 7, batchSize: 64 });
    expect(loadConfig({ file: path, preset: 'cifar10-resnet18' })).to.include({ seed: 7, batchSize: 256 });
  });

  it('assignments: values are JSON where they parse as JSON and strings otherwise', () => {
    const config = loadConfig({
      set: ['widths=[1, 0.5]', 'data.source=/photos/a=b', 'schedule.warmupFrom=1e-7'],
    });
    expect(config.widths).to.deep.equal([1, 0.5]);
    expect(config.data.source).to.equal('/photos/a=b');
    expect(config.schedule.warmupFrom).to.equal(1e-7);
  });

  it('assignments of one key: equal ones stand, different ones are refused, as one would have no effect', () => {
    expect(loadConfig({ set: ['epochs=7', 'epochs=7'] }).epochs).to.equal(7);
    expect(setError('epochs=5', 'seed=1', 'epochs=7')).to.equal(
      'config: the assignment "epochs=5" has no effect before "epochs=7"; accepted: one value for epochs',
    );
    expect(setError('method.kind=simclr', 'method.kind=moco-v3')).to.include('one value for method.kind');
    expect(setError('checkpoint={"keep":2}', 'checkpoint.keep=4')).to.include(
      'one value for checkpoint.keep',
    );
    expect(setError('checkpoint.keep=4', 'checkpoint=5')).to.include('has no effect before "checkpoint=5"');
  });

  it('a key that holds a string takes the text as it stands', () => {
    const set = ['data.source=2024', 'monitor.source=true', 'monitor.kind=knn'];
    const { data, monitor } = loadConfig({ set });
    expect(data.source).to.equal('2024');
    expect(monitor).to.include({ source: 'true' });
    const { method } = loadConfig({ set: ['method.teacher={a}.onnx', 'method.kind=seed'] });
    expect(method).to.include({ teacher: '{a}.onnx' });
    expect(loadConfig({ set: ['data.source="quoted as JSON"'] }).data.source).to.equal('quoted as JSON');
  });

  it('data.validation: a share as a number or in percent, or a number of images; kept as a number', () => {
    const value = (text: string) => loadConfig({ set: [`data.validation=${text}`] }).data.validation;
    expect(['5%', '0.05', '2.5 %', '0', '1', '200'].map(value)).to.deep.equal([0.05, 0.05, 0.025, 0, 1, 200]);
    expect(parseConfig(loadConfig({ set: ['data.validation=5%'] })).data.validation).to.equal(0.05);
    // 99.9 / 100 is another number.
    expect(['99.9%', '0.07%'].map(value)).to.deep.equal([0.999, 0.0007]);
  });

  it('a file with a byte order mark, in UTF-8 or UTF-16: read', () => {
    const text = JSON.stringify({ epochs: 7, data: { source: 'fotos/ä' } });
    const utf16 = Buffer.from(`\ufeff${text}`, 'utf16le');
    for (const bytes of [Buffer.from(`\ufeff${text}`), utf16, Buffer.from(utf16).swap16()]) {
      const path = join(folder, 'marked.json');
      writeFileSync(path, bytes);
      expect(loadConfig({ file: path })).to.deep.include({ epochs: 7 });
      expect(loadConfig({ file: path }).data.source).to.equal('fotos/ä');
    }
  });

  it('unknown keys: the closest one of that level, the same key of another level, or all of the level', () => {
    expect(usageError(() => parseConfig({ optimiser: {} }))).to.equal(
      'config: unknown key "optimiser"; did you mean "optimizer"?',
    );
    expect(setError('method.queuesize=64')).to.equal(
      'config: unknown key "method.queuesize"; did you mean "method.queueSize"?',
    );
    expect(setError('queueSize=64')).to.equal(
      'config: unknown key "queueSize"; did you mean "method.queueSize"?',
    );
    expect(setError('studentTemperature=4')).to.include(
      'did you mean "techniques.distillation.studentTemperature"?',
    );
    expect(setError('checkpoint.zzzzzz=1')).to.equal(
      'config: unknown key "checkpoint.zzzzzz"; accepted: everyEpochs, everySteps, everyMinutes, keep, keepBest',
    );
    expect(setError('techniques.reweighting.wieght=1')).to.equal(
      'config: unknown key "techniques.reweighting.wieght"; accepted: kind',
    );
    expect(setError('method.kind=moco-v3', 'method.queueSize=4096')).to.equal(
      'config: method.queueSize does not exist for method.kind "moco-v3"; it belongs to "moco-v2", "seed"',
    );
    expect(setError('__proto__.epochs=3')).to.include('unknown key "__proto__"');
  });

  const eachView = 'a number >= 0 and <= 1, or a list of 2, each a number >= 0 and <= 1';
  const wrong: [assignment: string, message: string][] = [
    ['epochs=0', 'epochs is 0; accepted: an integer >= 1'],
    ['seed=-1', 'seed is -1; accepted: an integer >= 0 and <= 4294967295'],
    ['batchSize=64.5', 'batchSize is 64.5; accepted: an integer >= 1'],
    ['optimizer.momentum=1', 'optimizer.momentum is 1; accepted: a number >= 0 and < 1'],
    ['method.temperature=warm', 'method.temperature is "warm"; accepted: a number > 0'],
    ['encoder.stem=vit', 'encoder.stem is "vit"; accepted: "cifar", "imagenet"'],
    ['data.source=""', 'data.source is ""; accepted: a string that is not empty'],
    ...['-1', '1.5', '100%', 'five', '5 percent', '-5%'].map((value): [string, string] => [
      `data.validation=${value}`,
      `data.validation is ${/^[-.\d]+$/.test(value) ? value : `"${value}"`}; it must be a share below 1, such as 5% or ` +
        '0.05, or a number of images',
    ]),
    ...['true', 'null', '[1]', '{}'].map((value): [string, string] => [
      `data.validation=${value}`,
      `data.validation is ${value}; accepted: a share below 1, such as 5% or 0.05, or a number of images`,
    ]),
    ['data.mean=0.5', 'data.mean is 0.5; accepted: a list, each a number'],
    ['data.std=[1,1,0]', 'data.std[2] is 0; accepted: a number > 0'],
    ['optimizer.decay=["gama"]', 'optimizer.decay[0] is "gama"; accepted: "weight", "bias", "gamma", "beta"'],
    ['optimizer.decay=["bias","bias"]', 'optimizer.decay is ["bias","bias"]; it must not name a role twice'],
    [
      'augmentation.cropScale=[1,0.2]',
      'augmentation.cropScale is [1,0.2]; it must be [low, high] with low <= high',
    ],
    ['augmentation.flip=2', 'augmentation.flip is 2; accepted: a number >= 0 and <= 1'],
    ['augmentation.solarize=1.5', `augmentation.solarize is 1.5; accepted: ${eachView}`],
    ['augmentation.solarize=often', `augmentation.solarize is "often"; accepted: ${eachView}`],
    ['augmentation.solarize=[0]', `augmentation.solarize is [0]; accepted: ${eachView}`],
    ['augmentation.solarize=[0,0.2,1]', `augmentation.solarize is [0,0.2,1]; accepted: ${eachView}`],
    ['augmentation.solarize={"view1":0}', `augmentation.solarize is {"view1":0}; accepted: ${eachView}`],
    [
      'augmentation.blur.probability=[1,-0.1]',
      'augmentation.blur.probability[1] is -0.1; accepted: a number >= 0 and <= 1',
    ],
    [
      'augmentation.blur.probability=["x",-0.1]',
      `augmentation.blur.probability is ["x",-0.1]; accepted: ${eachView}`,
    ],
    ['widths=[1,0.25,0.5]', 'widths is [1,0.25,0.5]; it must be strictly descending'],
    ['widths=[]', 'widths is []; it must start with 1'],
    ['widths=1', 'widths is 1; accepted: a list, each a number > 0 and <= 1'],
    [
      'techniques.distillation.kind=kd',
      'techniques.distillation.kind is "kd"; accepted: "none", "kd-logits", "kd-features", "mse-features", "mse-logits", "dkd", "atkd"',
    ],
    [
      'techniques.distillation.weight=2',
      'techniques.distillation.weight is 2; accepted: a number >= 0 and <= 1',
    ],
    ['tensorboard=yes', 'tensorboard is "yes"; accepted: true, false'],
    ['method=5', 'method is 5; accepted: an object with the keys kind'],
    [
      'checkpoint=often',
      'checkpoint is "often"; accepted: an object with the keys everyEpochs, everySteps, everyMinutes, keep, keepBest',
    ],
  ];
  for (const [assignment, message] of wrong) {
    it(`wrong value ${assignment}: names the key, the value and what is accepted`, () => {
      expect(setError(assignment)).to.equal(`config: ${message}`);
    });
  }

  it('several problems stand in one line', () => {
    expect(setError('epochs=0', 'optimiser=1')).to.equal(
      'config: epochs is 0; accepted: an integer >= 1; also: unknown key "optimiser"; did you mean "optimizer"?',
    );
  });

  it('unknown preset: the closest one and all of them', () => {
    expect(usageError(() => loadConfig({ preset: 'cifar-resnet20' }))).to.equal(
      `config: unknown preset "cifar-resnet20"; accepted: ${Object.keys(presets).join(', ')};` +
        ' did you mean "cifar10-resnet20"?',
    );
    expect(usageError(() => loadConfig({ preset: 'toString' }))).to.include('unknown preset "toString"');
    expect(usageError(() => loadConfig({ file: file({ preset: 3 }) }))).to.match(
      /preset in .* is 3; accepted/,
    );
  });

  it('a file that is missing, no JSON or no object, and an assignment without a key, are named', () => {
    expect(usageError(() => loadConfig({ file: join(folder, 'none.json') }))).to.match(
      /none\.json cannot be read/,
    );
    expect(usageError(() => loadConfig({ file: file('{"epochs": }') }))).to.match(/config\.json is not JSON/);
    expect(usageError(() => loadConfig({ file: file('{\n"epochs": 5,\n}') }))).to.match(
      /is not JSON \(.*\)$/,
    );
    expect(usageError(() => loadConfig({ file: file([1]) }))).to.match(/config\.json holds no JSON object/);
    for (const text of ['epochs', '=3', 'method..queueSize=3']) {
      expect(setError(text)).to.equal(
        `config: cannot read the assignment "${text}"; accepted: key=value or key.sub=value`,
      );
    }
  });
});
