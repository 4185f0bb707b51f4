import { expect } from 'chai';
import { spawnSync } from 'node:child_process';
import { copyFile, mkdir, readdir, readFile, rm, truncate, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { parquetReadObjects, type AsyncBuffer } from 'hyparquet';
import sharp from 'sharp';
import { openSource } from '../../src/data/source.js';
import { embed, type EmbedOptions } from '../../src/embedding/embed.js';
import { UsageError } from '../../src/errors.js';
import { extractFeatures, FrozenEncoder } from '../../src/evaluation/features.js';
import { exportRun } from '../../src/export/exportRun.js';
import { readNpy } from '../../src/onnx/npy.js';
import { slimclr } from '../cli/slimclr.js';
import { makeTinyRun, type TinyRun } from '../evaluation/tinyRun.js';
import { arrowPython } from '../support/pythons.js';
import { rejection } from '../support/rejection.js';
import { removeFolder } from '../support/removeFolder.js';

const arrow = arrowPython();

interface Row {
  readonly file: string;
  readonly class: string;
  readonly features: number[];
}

async function readParquet(path: string): Promise<Row[]> {
  const bytes = new Uint8Array(await readFile(path)).buffer;
  const file: AsyncBuffer = { byteLength: bytes.byteLength, slice: (start, end) => bytes.slice(start, end) };
  return (await parquetReadObjects({ file })) as unknown as Row[];
}

describe('embed: ResNet-20, widths 1 and 0.5, 12 images of two classes', function () {
  this.timeout(60_000);
  let run: TinyRun;
  let root: string;
  /** Names, classes and features of width 0.5, computed by an evaluation. */
  let names: string[];
  let features: Float32Array;

  before(async () => {
    run = await makeTinyRun();
    root = dirname(run.folder);
    await exportRun(run.folder, { source: run.train, widths: [0.5] });
    const source = await openSource(run.test);
    names = (await readdir(run.test, { recursive: true })).filter((name) => name.endsWith('.png')).sort();
    const encoder = await FrozenEncoder.open(run.network, run.config, 0.5, run.weights);
    features = (await extractFeatures(source, run.config, [encoder]))[0]!.data;
    await encoder.close();
  });
  after(() => removeFolder(root));

  const model = () => join(run.folder, 'export', 'resnet20.w0.50.onnx');
  const output = (name: string) => join(root, name);

  function expectFeatures(actual: ArrayLike<number>): void {
    expect(actual.length).to.equal(12 * 32);
    const largest = features.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
    for (const [i, value] of features.entries()) {
      expect(Math.abs(actual[i]! - value) / largest).to.be.below(1e-5);
    }
  }

  it('of a run at a width, .npy: features, names and classes beside them', async () => {
    const result = await embed(run.folder, run.test, { output: output('a.npy'), width: 0.5 });
    expect(result).to.deep.include({ images: 12, channels: 32, width: 0.5, skipped: [] });
    expect(result.files).to.deep.equal([output('a.npy'), output('a.names.csv')]);
    const { dtype, shape, data } = await readNpy(output('a.npy'));
    expect([dtype, shape]).to.deep.equal(['float32', [12, 32]]);
    expectFeatures(data as Float32Array);
    const lines = names.map((name) => `${name},${name.split('/')[0]}`);
    expect(await readFile(output('a.names.csv'), 'utf8')).to.equal(
      `${['file,class', ...lines].join('\n')}\n`,
    );
    const widest = await embed(run.folder, run.test, { output: output('b.npy') });
    expect(widest).to.include({ channels: 64, width: 1 });
  });

  it('of an exported model, by its manifest and by its metadata alone, .csv: the same', async () => {
    const alone = output('alone.onnx');
    await copyFile(model(), alone);
    for (const path of [model(), alone]) {
      const result = await embed(path, run.test, { output: output('a.csv') });
      expect(result).to.include({ images: 12, channels: 32, width: 0.5 });
      const [head, ...lines] = (await readFile(output('a.csv'), 'utf8')).trimEnd().split('\n');
      expect(head).to.match(/^file,class,f0,f1,.*,f31$/);
      const rows = lines.map((line) => line.split(','));
      expect(rows.map(([name, label]) => [name, label])).to.deep.equal(
        names.map((name) => [name, name.split('/')[0]]),
      );
      expectFeatures(rows.flatMap((row) => row.slice(2).map(Number)));
    }
  });

  it('.parquet: file, class and features as another reader has them, to the bit', async function () {
    await embed(model(), run.test, { output: output('a.parquet') });
    await embed(model(), run.test, { output: output('same.npy') });
    const exact = (await readNpy(output('same.npy'))).data as Float32Array;
    const rows = await readParquet(output('a.parquet'));
    expect(rows.map((row) => [row.file, row.class])).to.deep.equal(
      names.map((name) => [name, name.split('/')[0]]),
    );
    expect(rows.flatMap((row) => row.features)).to.deep.equal([...exact]);
    expectFeatures(exact);
  });

  it(`.parquet, read by pyarrow${arrow.missing}`, async function () {
    if (arrow.missing) this.skip();
    await embed(model(), run.test, { output: output('a.parquet') });
    const code = `
import json, sys, pyarrow.parquet as p
t = p.read_table(sys.argv[1])
print(json.dumps([[str(f.type) for f in t.schema], t.column('file').to_pylist(), t.column('features').to_pylist()]))`;
    const { stdout, stderr } = spawnSync(arrow.python, ['-c', code, output('a.parquet')], {
      encoding: 'utf8',
    });
    expect(stderr).to.equal('');
    const [types, files, vectors] = JSON.parse(stdout) as [string[], string[], number[][]];
    expect(types.slice(0, 2)).to.deep.equal(['string', 'string']);
    expect(types[2]).to.match(/^list<.*float/);
    expect(files).to.deep.equal(names);
    expectFeatures(vectors.flat());
  });

  it('files that cannot be read have no row, and are named; names that a comma or a quote is in', async () => {
    const folder = output('mixed');
    await mkdir(folder);
    const image = sharp({ create: { width: 20, height: 30, channels: 3, background: 'teal' } });
    const png = await image.png({ compressionLevel: 0 }).toBuffer();
    for (const name of ['a, "b".png', 'b.png', 'c.png']) await writeFile(join(folder, name), png);
    // The header is whole.
    await truncate(join(folder, 'b.png'), png.length >> 1);
    await writeFile(join(folder, 'd.png'), 'no image');
    const { code, stdout } = await slimclr('embed', model(), folder, '--output', output('mixed.csv'));
    expect(stdout).to.match(
      /^2 images, 32 features each of width 0.5: .*mixed\.csv\n2 files skipped:\n {2}b\.png: .+\n {2}d\.png: .+\n$/,
    );
    expect(code).to.equal(0);
    const lines = (await readFile(output('mixed.csv'), 'utf8')).trimEnd().split('\n');
    expect(lines[0]).to.match(/^file,f0,/);
    expect(lines[1]!.startsWith('"a, ""b"".png",')).to.equal(true);
    expect(lines[2]!.startsWith('c.png,')).to.equal(true);
    expect(lines[1]!.split('",')[1]).to.equal(lines[2]!.slice('c.png,'.length));
  });

  it('what cannot be: one line, and no file', async () => {
    const foreign = output('foreign.onnx');
    await copyFile(model(), foreign);
    await copyFile(join(run.folder, 'export', 'manifest.json'), output('manifest.json'));
    const manifest = await readFile(output('manifest.json'), 'utf8');
    await writeFile(output('manifest.json'), manifest.replaceAll('resnet20.w0.50.onnx', 'foreign.onnx').replace(/"sha256": "\w{8}/, '"sha256": "00000000')); // prettier-ignore
    const cases: [string, string, EmbedOptions, RegExp][] = [
      [run.folder, run.test, { output: output('x.json') }, /x\.json: features .*\.parquet, \.npy, \.csv/],
      [run.folder, run.test, { output: output('x.csv'), width: 0.3 }, /no width 0.3; accepted: 1, 0.5/],
      [output('none'), run.test, { output: output('x.csv') }, /none: no such file or folder; accepted/],
      [model(), run.test, { output: output('x.csv'), width: 0.5 }, /is one model; --width is accepted with a run/],
      [join(run.test, names[0]!), run.test, { output: output('x.csv') }, /\.png: not an ONNX model/],
      [foreign, run.test, { output: output('x.csv') }, /foreign\.onnx is another file than .*manifest\.json says/],
    ]; // prettier-ignore
    for (const [path, source, options, message] of cases) {
      expect((await rejection(embed(path, source, options))).message).to.match(message);
    }
    await rm(output('manifest.json'));
    expect(await rejection(embed(model(), 'cifar', { output: output('x.csv') }))).to.be.instanceOf(
      UsageError,
    );
    expect(await readdir(root)).to.not.include('x.csv');
  });
});
