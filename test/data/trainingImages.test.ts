import { cp, mkdtemp, readdir, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import type { ConfigInput } from '../../src/config/schema.js';
import { packShards } from '../../src/data/shards/packShards.js';
import type { ImageSource } from '../../src/data/source.js';
import { openTrainingImages, type TrainingImagesOptions } from '../../src/data/trainingImages.js';
import { UsageError } from '../../src/errors.js';
import { tinyConfig, writeImages } from '../evaluation/tinyRun.js';
import { rejection } from '../support/rejection.js';
import { removeFolder } from '../support/removeFolder.js';

const namesOf = (source: ImageSource) => Array.from({ length: source.length }, (_, i) => source.nameOf(i));
const labelsOf = ({ labels, classes }: ImageSource) =>
  Array.from(labels ?? [], (label) => classes![label] ?? null);

describe('openTrainingImages', () => {
  let root: string;
  let folder: string;
  before(async () => {
    root = await mkdtemp(join(tmpdir(), 'slimclr-images-'));
    folder = join(root, 'images');
    await writeImages(folder, 20, 1);
  });
  after(() => removeFolder(root));

  const open = (
    data: NonNullable<ConfigInput['data']>,
    options: TrainingImagesOptions = {},
    config: ConfigInput = {},
  ) => openTrainingImages(tinyConfig({ ...config, data: { source: folder, ...data } }), options);

  async function labelFile(name: string, content: string): Promise<string> {
    const path = join(root, name);
    await writeFile(path, content);
    return path;
  }

  it('neither validation nor labels: the images of openSource with their fingerprint', async () => {
    const { fingerprint, length, heldOut } = await open({});
    expect(length).to.equal(40);
    expect(fingerprint).to.match(/^2-/);
    expect(heldOut).to.equal(null);
  });

  it('validation: held-out images and training images are disjoint, by class, and all there are', async () => {
    const train = await open({ validation: '20%' });
    const [kept, held] = [namesOf(train), namesOf(train.heldOut!)];
    expect([kept.length, held.length]).to.deep.equal([32, 8]);
    expect(new Set([...kept, ...held])).to.have.property('size', 40);
    expect(held.filter((name) => name.startsWith('red/'))).to.have.length(4);
    expect(labelsOf(train)).to.deep.equal(kept.map((name) => name.split('/')[0]));
    expect(labelsOf(train.heldOut!)).to.deep.equal(held.map((name) => name.split('/')[0]));
    // What is read is what is named.
    const [whole, first] = [await open({}), held[0]!];
    const image = await train.heldOut!.read(0);
    expect(image.data).to.deep.equal((await whole.read(namesOf(whole).indexOf(first))).data);
  });

  it('the folder at another place: the same images and fingerprints', async () => {
    const moved = join(root, 'moved');
    await cp(folder, moved, { recursive: true });
    const here = await open({ validation: 8 });
    const there = await open({ validation: 8, source: moved });
    expect(namesOf(there.heldOut!)).to.deep.equal(namesOf(here.heldOut!));
    expect(there.fingerprint).to.equal(here.fingerprint);
    const named = await open({ validation: 8 }, { source: moved });
    expect(named.fingerprint).to.equal(here.fingerprint);
  });

  it('a limit chooses among the images to train on: the held-out ones stay the same', async () => {
    const all = await open({ validation: 8 });
    const few = await open({ validation: 8, limit: 10 });
    expect(few.length).to.equal(10);
    expect(namesOf(few.heldOut!)).to.deep.equal(namesOf(all.heldOut!));
    expect(namesOf(all)).to.include.members(namesOf(few));
  });

  it('another split is another fingerprint: share, seed', async () => {
    const prints = await Promise.all([
      open({}),
      open({ validation: 8 }),
      open({ validation: 9 }),
      open({ validation: 8 }, {}, { seed: 1 }),
    ]);
    expect(new Set(prints.map(({ fingerprint }) => fingerprint)).size).to.equal(4);
  });

  it('cifar10: held out of the training split, each class alike', async () => {
    const train = await open({ source: 'cifar10', validation: 0.05 });
    expect([train.length, train.heldOut!.length]).to.deep.equal([47_500, 2500]);
    const counts = new Array<number>(10).fill(0);
    for (const label of train.heldOut!.labels!) counts[label]!++;
    expect(counts).to.deep.equal(new Array(10).fill(250));
    const all = new Set([...namesOf(train), ...namesOf(train.heldOut!)]);
    expect(all.size).to.equal(50_000);
  });

  it('labels of a file replace those of folders; images without one train, and are told', async () => {
    const rows = Array.from({ length: 15 }, (_, i) => `blue/${i}.png,${i % 2 ? 'odd' : 'even'}`);
    const labels = await labelFile('a.csv', [...rows, 'blue/99.png,odd', 'x.png,even'].join('\n'));
    const source = await open({ labels });
    expect(source.length).to.equal(40);
    expect(source.classes).to.deep.equal(['even', 'odd']);
    const byName = new Map(namesOf(source).map((name, i) => [name, labelsOf(source)[i]]));
    expect([byName.get('blue/3.png'), byName.get('blue/4.png'), byName.get('red/3.png')]).to.deep.equal([
      'odd',
      'even',
      null,
    ]);
    expect(source.notices).to.deep.equal([
      `${labels}: 25 of 40 images without a label`,
      `${labels}: 2 labels of files that are not among the images: blue/99.png, x.png`,
    ]);
    expect(source.fingerprint).to.equal((await open({})).fingerprint);
  });

  it('paths may be absolute, lack the extension, and stand behind a header of other names', async () => {
    const rows = namesOf(await open({})).map((name, i) => {
      const path = [name, join(folder, name), name.replace(/\.png$/, '')][i % 3];
      return `${path},${i}`;
    });
    const labels = await labelFile('b.csv', ['bild,nummer', ...rows].join('\n'));
    const source = await open({ labels });
    expect(source.notices).to.deep.equal([]);
    // Numbers are in their order.
    expect(source.classes).to.deep.equal(Array.from({ length: 40 }, (_, i) => String(i)));
    expect([...source.labels!]).to.deep.equal([...Array(40).keys()]);
  });

  it('validation by the labels of a file: unlabelled images all train', async () => {
    const rows = Array.from({ length: 20 }, (_, i) => `red/${i}.png,${i < 10 ? 'a' : 'b'}`);
    const labels = await labelFile('c.csv', rows.join('\n'));
    const train = await open({ labels, validation: 0.2 });
    expect([train.length, train.heldOut!.length]).to.deep.equal([36, 4]);
    expect(labelsOf(train.heldOut!).sort()).to.deep.equal(['a', 'a', 'b', 'b']);
    const labelledOnly = await open({ labels, validation: 0.2 }, { labelledOnly: true });
    expect(labelledOnly.length).to.equal(16);
    expect(labelsOf(labelledOnly)).to.not.include(null);
  });

  it('training with labels: images that have one; the labels are part of the fingerprint', async () => {
    const method = { kind: 'supervised', classes: 2 } as const;
    const rows = Array.from({ length: 20 }, (_, i) => `red/${i}.png,${i < 10 ? 'a' : 'b'}`);
    const labels = await labelFile('d.csv', rows.join('\n'));
    const corrected = await labelFile('e.csv', rows.join('\n').replace('red/3.png,a', 'red/3.png,b'));
    const supervised = (file: string) => open({ labels: file }, {}, { method });
    const [a, again, b] = [await supervised(labels), await supervised(labels), await supervised(corrected)];
    expect(a.length).to.equal(20);
    expect(a.fingerprint).to.equal(again.fingerprint);
    expect(a.fingerprint).to.not.equal(b.fingerprint);
    const unsupervised = await Promise.all([labels, corrected].map((file) => open({ labels: file })));
    expect(unsupervised[0]!.fingerprint).to.equal(unsupervised[1]!.fingerprint);
  });

  it('a list of images: labels by their paths in the list or absolute ones, held out by them', async () => {
    const list = join(root, 'list.txt');
    const listed = Array.from({ length: 10 }, (_, i) =>
      i < 5 ? `images/red/${i}.png` : join(folder, `red/${i}.png`),
    );
    await writeFile(list, listed.join('\n'));
    const rows = listed.map((_, i) => {
      const path = i % 2 ? `images/red/${i}` : join(folder, `red/${i}.png`);
      return `${path},${i < 4 ? 'few' : 'many'}`;
    });
    const labels = await labelFile('list.csv', rows.join('\n'));
    const train = await open({ source: list, labels, validation: 0.5 });
    expect(train.notices).to.deep.equal([`${list}: 5 of 10 images held out of training (data.validation)`]);
    expect(labelsOf(train.heldOut!).sort()).to.deep.equal(['few', 'few', 'many', 'many', 'many']);
    expect(new Set([...namesOf(train), ...namesOf(train.heldOut!)])).to.deep.equal(new Set(listed));
  });

  it('shards: labels by the key, with or without the shard and the extension', async () => {
    const shards = join(root, 'shards');
    await packShards(folder, shards);
    const [shard] = (await readdir(shards)).filter((name) => name.endsWith('.tar'));
    const rows = Array.from({ length: 20 }, (_, i) => {
      const path = [`red/${i}`, `red/${i}.png`, `${shard}/red/${i}.png`, `${shard}/red/${i}`][i % 4];
      return `${path},${i < 10 ? 'few' : 'many'}`;
    });
    const labels = await labelFile('shards.csv', rows.join('\n'));
    const source = await open({ source: join(shards, shard!), labels });
    expect(source.notices).to.deep.equal([`${labels}: 20 of 40 images without a label`]);
    expect(source.classes).to.deep.equal(['few', 'many']);
    const train = await open({ source: join(shards, shard!), labels, validation: 0.2 });
    expect(labelsOf(train.heldOut!).sort()).to.deep.equal(['few', 'few', 'many', 'many']);
  });

  it('a file of other images: refused of the config, ignored of another source', async () => {
    const labels = await labelFile('f.csv', 'nothing.png,a\nred/1.png2,b\n');
    const error = await rejection(open({ labels }));
    expect(error).to.be.instanceOf(UsageError);
    expect(error.message).to.equal(
      `data.labels: ${labels} has no label of an image of ${folder}; it names nothing.png, an image is blue/0.png; ` +
        'accepted: paths relative to data.source',
    );
    const source = await open({ labels, source: join(root, 'moved') }, { source: folder });
    expect(source.classes).to.deep.equal(['blue', 'red']);
    const named = await rejection(open({ labels, source: 'mnist' }));
    expect(named).to.be.instanceOf(UsageError);
    expect(named.message).to.match(
      /^data\.labels is .*f\.csv, and the images of mnist have labels of their own/,
    );
  });
});
