import { cp, mkdtemp, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { presets } from '../../src/config/presets.js';
import { UsageError } from '../../src/errors.js';
import { checkGolden, fileConfigs, updateGolden } from '../../src/golden/golden.js';
import type { GoldenIndex } from '../../src/golden/goldenFolder.js';
import { textHash } from '../../src/onnx/text.js';
import { targets } from '../../src/targets/index.js';
import { tinyConfig } from '../programs/tiny.js';
import { removeFolder } from '../support/removeFolder.js';

const configs = new Map([['tiny', tinyConfig()]]);

describe('golden', () => {
  let parent: string;
  let original: string;
  let folder: string;

  before(async () => {
    parent = await mkdtemp(join(tmpdir(), 'slimclr-golden-'));
    original = join(parent, 'original');
    await updateGolden(original, configs);
  });
  after(() => removeFolder(parent));
  beforeEach(async () => {
    folder = join(parent, 'copy');
    await rm(folder, { recursive: true, force: true });
    await cp(original, folder, { recursive: true });
  });

  const lines = async () =>
    (await checkGolden(folder, configs)).differences.flatMap((difference) => difference.lines);

  const editIndex = async (edit: (index: GoldenIndex) => unknown) => {
    const path = join(folder, 'index.json');
    const index = JSON.parse(await readFile(path, 'utf8')) as GoldenIndex;
    await writeFile(path, JSON.stringify(edit(index)));
  };

  /** Changes a text, and its hash with it: as if it had been emitted like this at the time. */
  const rewriteText = async (text: string, before: string, after: string) => {
    const path = join(folder, 'tiny', `${text}.txt`);
    const content = await readFile(path, 'utf8');
    expect(content.split(before), 'places of the change').to.have.length(2);
    const changed = content.replace(before, () => after);
    await writeFile(path, changed);
    await editIndex(({ configs: { tiny }, ...index }) => ({
      ...index,
      configs: { tiny: { ...tiny, texts: { ...tiny!.texts, [text]: textHash(changed) } } },
    }));
  };

  // That they are what is emitted, `slimclr graph check` says.
  it('the committed graphs are those of every preset on every target', async () => {
    const index = JSON.parse(await readFile('graphs/index.json', 'utf8')) as GoldenIndex;
    expect(Object.keys(index.configs)).to.have.length(
      Object.keys(targets).length * Object.keys(presets).length,
    );
  });

  it('a preset of which only hashes are kept: a change is told, and its texts are not in the folder', async () => {
    const name = 'images.portable';
    const config = configs.get('tiny')!;
    await updateGolden(folder, new Map([[name, config]]));
    expect((await checkGolden(folder, new Map([[name, config]]))).differences).to.deep.equal([]);
    expect(await readdir(folder)).not.to.include(name);
    const other = { ...config, batchSize: 8 };
    const { differences } = await checkGolden(folder, new Map([[name, other]]));
    const subjects = differences.map(({ subject }) => subject);
    expect(subjects).to.include(`${name}/query.w1.00`).and.not.include(`${name}/update`);
    expect(differences[0]!.lines[0]).to.include('only its hash is kept');
    await updateGolden(folder, configs);
  });

  it('what was just written has no difference, and is byte for byte the same when written again', async () => {
    expect(await lines()).to.deep.equal([]);
    expect(await updateGolden(folder, configs)).to.deep.equal({ written: [], removed: [] });
  });

  const conv = '%encoder.layer1.0.conv1/Conv: float32[4,8,8,8] = Conv(%Relu, %encoder.layer1.0.conv1/Slice)';
  const changes: [string, string, string, string, string[]][] = [
    [
      'an attribute',
      'query.w0.50',
      `${conv} {dilations=[1,1], group=1, pads=[1,1,1,1]`,
      `${conv} {dilations=[1,1], group=1, pads=[1,1,0,0]`,
      ['tiny/query.w0.50: node encoder.layer1.0.conv1/Conv changed: attribute pads [1,1,0,0] -> [1,1,1,1]'],
    ],
    [
      'a shape',
      'embed.w0.50',
      '%encoder.layer3.2/Relu_1: float32[batch,32,2,2] =',
      '%encoder.layer3.2/Relu_1: float32[batch,32,4,4] =',
      [
        'tiny/embed.w0.50: node encoder.layer3.2/Relu_1 changed: type float32[batch,32,4,4] -> float32[batch,32,2,2]',
      ],
    ],
    [
      'an edge',
      'key',
      '= Add(%encoder.layer2.1.bn2/BatchNormTrain/BatchNormalization, %encoder.layer2.0/Relu_1)',
      '= Add(%encoder.layer2.1.bn2/BatchNormTrain/BatchNormalization, %encoder.layer2.1/Relu)',
      [
        'tiny/key: node encoder.layer2.1/Add changed: input 1 %encoder.layer2.1/Relu -> %encoder.layer2.0/Relu_1',
      ],
    ],
    [
      'a node too few',
      'momentum',
      '%Sub: float64[] = Sub(1.0:float64, %momentum)\n',
      '',
      ['tiny/momentum: node Sub added: %Sub: float64[] = Sub(1.0:float64, %momentum)'],
    ],
    [
      'an input of the interface',
      'update',
      'input %weight_decay: float32[]',
      'input %weight_decay: float64[]',
      ['tiny/update: input weight_decay changed: float64[] -> float32[]'],
    ],
    [
      'whether a parameter decays',
      'manifest',
      'parameter encoder.bn1.w0.50.gamma: float32[8] gamma decays',
      'parameter encoder.bn1.w0.50.gamma: float32[8] gamma',
      [
        'tiny/manifest: parameter encoder.bn1.w0.50.gamma changed: float32[8] gamma w0.50=[8] -> float32[8] gamma decays w0.50=[8]',
      ],
    ],
    [
      'a file that is no text of a graph',
      'combine.w0.50',
      'graph combine.w0.50',
      '<<<<<<< combine.w0.50',
      ['tiny/combine.w0.50: line 1 is not of the text form of a model: <<<<<<< combine.w0.50'],
    ],
  ];
  for (const [title, text, before, after, expected] of changes) {
    it(`${title} changed in ${text}: the check names graph and item, an update repairs it`, async () => {
      await rewriteText(text, before, after);
      expect(await lines()).to.deep.equal(expected);
      expect((await updateGolden(folder, configs)).written).to.deep.equal([`tiny/${text}.txt`, 'index.json']);
      expect(await lines()).to.deep.equal([]);
    });
  }

  it('the place of a parameter in the arenas changed', async () => {
    const path = join(folder, 'tiny/manifest.txt');
    const content = (await readFile(path, 'utf8')).split('\n');
    [content[4], content[5]] = [content[5]!, content[4]!];
    await writeFile(path, content.join('\n'));
    expect(await lines()).to.include('tiny/manifest: order differs, first at parameter encoder.conv1.weight');
  });

  it('edited by hand: the check says so beside the difference', async () => {
    const path = join(folder, 'tiny/update.txt');
    await writeFile(path, (await readFile(path, 'utf8')).replace('0.9:float32', '0.8:float32'));
    expect(await lines()).to.deep.equal([
      "tiny/update: tiny/update.txt was edited: its hash is not the index's",
      'tiny/update: node Mul_1 changed: input 1 0.8:float32 -> 0.9:float32',
    ]);
  });

  it('a text that is missing, and one that is left over', async () => {
    await rename(join(folder, 'tiny/key.txt'), join(folder, 'tiny/lock.txt'));
    expect(await lines()).to.deep.equal([
      'tiny/key: tiny/key.txt is missing',
      'tiny/lock.txt: not in the index',
    ]);
    expect(await updateGolden(folder, configs)).to.deep.equal({
      written: ['tiny/key.txt'],
      removed: ['tiny/lock.txt'],
    });
    expect(await lines()).to.deep.equal([]);
  });

  it('a graph that is new, one that is not emitted any more, and another opset', async () => {
    await rename(join(folder, 'tiny/key.txt'), join(folder, 'tiny/lock.txt'));
    await editIndex(({ configs: { tiny }, ...index }) => {
      const { key, ...texts } = tiny!.texts;
      return { ...index, configs: { tiny: { ...tiny, opset: 18, texts: { ...texts, lock: key } } } };
    });
    expect(await lines()).to.deep.equal([
      'tiny: opset changed: 18 -> 17',
      'tiny/lock: removed: it is not emitted any more',
      'tiny/key: added: it is not in the golden graphs',
    ]);
  });

  it('a config that the folder lacks, and one that it has beside', async () => {
    await editIndex(({ configs: { tiny }, ...index }) => ({ ...index, configs: { small: tiny } }));
    expect((await lines()).slice(0, 2)).to.deep.equal([
      'tiny: missing from the golden graphs',
      'small: in the golden graphs, but not checked; known: tiny',
    ]);
  });

  it('an update leaves files alone that are no texts, and no temporary file behind', async () => {
    await writeFile(join(folder, 'README.md'), 'ours');
    await rm(join(folder, 'tiny/key.txt'));
    await updateGolden(folder, configs);
    expect(await readFile(join(folder, 'README.md'), 'utf8')).to.equal('ours');
    expect((await readdir(join(folder, 'tiny'))).filter((name) => !name.endsWith('.txt'))).to.deep.equal([]);
  });

  const failure = async (action: Promise<unknown>) => {
    let caught: unknown;
    await action.catch((error: unknown) => (caught = error));
    expect(caught).to.be.instanceOf(UsageError);
    return (caught as UsageError).message;
  };

  it('a folder without golden graphs: the check and the update of a foreign folder are usage errors', async () => {
    await rm(join(folder, 'index.json'));
    expect(await failure(checkGolden(folder, configs))).to.equal(
      `${folder}: no golden graphs (it holds no index.json)`,
    );
    expect(await failure(updateGolden(folder, configs))).to.contain('holds no golden graphs but other files');
  });

  it('config files are known by their names, and two of one name are a usage error', async () => {
    const small = join(folder, 'small.json');
    await writeFile(small, '{"preset": "cifar10-resnet20", "batchSize": 32}');
    expect([...fileConfigs([small])].map(([name, { batchSize }]) => [name, batchSize])).to.deep.equal([
      ['small', 32],
    ]);
    expect(() => fileConfigs([small, small])).to.throw(UsageError, 'two config files are named "small"');
  });
});
