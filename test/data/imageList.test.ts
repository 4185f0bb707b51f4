import { mkdirSync, renameSync, writeFileSync } from 'node:fs';
import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { expect } from 'chai';
import sharp from 'sharp';
import { openSource } from '../../src/data/source.js';
import { describeSource } from '../../src/data/sourceDescription.js';
import { UsageError } from '../../src/errors.js';
import { rejection } from '../support/rejection.js';
import { removeFolder } from '../support/removeFolder.js';

describe('a list of images', () => {
  let folder: string;
  let png: Buffer;
  before(async () => {
    png = await sharp({ create: { width: 4, height: 4, channels: 3, background: 'red' } })
      .png()
      .toBuffer();
  });
  beforeEach(async () => void (folder = await mkdtemp(join(tmpdir(), 'slimclr-list-'))));
  afterEach(() => removeFolder(folder));

  const put = (path: string, content: Buffer | string = png) => {
    mkdirSync(dirname(join(folder, path)), { recursive: true });
    writeFileSync(join(folder, path), content);
  };
  const open = (text: string, limit = 0) => {
    put('lists/list.txt', text);
    return openSource(join(folder, 'lists/list.txt'), { limit });
  };
  const message = async (text: string) => {
    const error = await rejection(open(text));
    expect(error).to.be.instanceOf(UsageError);
    return error.message;
  };

  it('its order, paths relative to it or absolute, comments, empty lines and line ends of Windows', async () => {
    for (const name of ['b.png', 'a b.png', 'lists/c', 'd.png']) put(name);
    const source = await open(
      `# images\r\n\r\n../b.png\r\n  ./../a b.png  \r\n./c\r\n${join(folder, 'd.png')}\r\n`,
    );
    const names = Array.from({ length: source.length }, (_, i) => source.nameOf(i));
    expect(names).to.deep.equal(['../b.png', '../a b.png', 'c', join(folder, 'd.png')]);
    expect([source.labels, source.classes, source.notices]).to.deep.equal([null, null, []]);
    for (let i = 0; i < source.length; i++) expect((await source.read(i)).width).to.equal(4);
  });

  it('classes behind a tab, or behind white space where the path ends like an image', async () => {
    for (const name of ['lists/1.png', 'lists/2 x.png', 'lists/3', 'lists/4.png']) put(name);
    const source = await open('1.png  wild cat\n2 x.png dog\n3\tdog\n4.png\tant\n');
    expect(source.classes).to.deep.equal(['ant', 'dog', 'wild cat']);
    expect([...source.labels!]).to.deep.equal([2, 1, 1, 0]);
  });

  it('lines may end as on a classic Mac', async () => {
    for (const name of ['lists/1.png', 'lists/2.png']) put(name);
    const source = await open('1.png\r2.png\r');
    expect([source.length, source.classes]).to.deep.equal([2, null]);
  });

  it('numbers are classes in their order', async () => {
    for (const name of ['lists/1.png', 'lists/2.png', 'lists/3.png']) put(name);
    const source = await open('1.png 10\n2.png 9\n3.png 10\n');
    expect(source.classes).to.deep.equal(['9', '10']);
    expect([...source.labels!]).to.deep.equal([1, 0, 1]);
  });

  it('one without a class has no label, and a notice says so', async () => {
    for (const name of ['lists/1.png', 'lists/2.png']) put(name);
    const source = await open('1.png cat\n2.png\n');
    expect([[...source.labels!], source.classes]).to.deep.equal([[0, -1], ['cat']]);
    expect(source.notices).to.deep.equal([
      `${join(folder, 'lists/list.txt')}: 1 of 2 images without a label`,
    ]);
  });

  it('missing files are counted and named, others with the reason; what is listed twice is there once', async () => {
    put('lists/1.png');
    put('lists/bad.png', 'text');
    const again = ['./1.png cat', `${join(folder, 'lists/1.png')} cat`, '../lists//1.png cat'];
    const gone = ['p.png', 'q.png', 'r.png', 's.png'];
    const source = await open(
      ['1.png cat', 'bad.png dog', ...gone.map((name) => `${name} ant`), ...again].join('\n'),
    );
    const list = join(folder, 'lists/list.txt');
    expect(source.notices).to.deep.equal([
      `${list}: 4 files of 6 missing: p.png, q.png, r.png, ...`,
      `${list}: 3 lines again of a file that it has already`,
    ]);
    expect((await describeSource(source)).notices).to.include.members([...source.notices]);
    expect(source.skipped.map(({ path }) => path)).to.deep.equal(['bad.png', ...gone]);
    expect([source.length, source.classes]).to.deep.equal([1, ['cat']]);
  });

  it('fingerprint: of files and classes, wherever they are; a limit takes as many of them as can be used', async () => {
    for (let i = 0; i < 8; i++) put(`lists/${i}.png`);
    const lines = Array.from({ length: 10 }, (_, i) => `${i}.png ${i % 2}`);
    const first = await open(lines.join('\n'));
    expect(first.length).to.equal(8);
    expect((await open(lines.join('\n'), 5)).length).to.equal(5);
    renameSync(join(folder, 'lists'), join(folder, 'elsewhere'));
    const moved = await openSource(join(folder, 'elsewhere/list.txt'));
    expect(moved.fingerprint).to.equal(first.fingerprint);
    put('elsewhere/list.txt', lines.join('\n').replace('3.png 1', '3.png 0'));
    expect((await openSource(join(folder, 'elsewhere/list.txt'))).fingerprint).not.to.equal(
      first.fingerprint,
    );
  });

  it('wrong usage, one line each', async () => {
    put('lists/1.png');
    expect(await message('# nothing\n')).to.match(
      /^the list of images .*list\.txt names no file; accepted: a path a line$/,
    );
    expect(await message('1.png cat\n\n./1.png dog\n')).to.match(
      /list\.txt: 1\.png has two classes, cat and, in line 3, dog; accepted: one$/,
    );
    expect(await message('x.png\ny.png\n')).to.match(
      /^no readable image in .*list\.txt: 2 skipped, the first x\.png \(ENOENT: /,
    );
    mkdirSync(join(folder, 'folder.txt'));
    put('folder.txt/1.png');
    expect((await openSource(join(folder, 'folder.txt'))).length).to.equal(1);
  });
});
