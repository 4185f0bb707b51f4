import { expect } from 'chai';
import { readdir, readFile } from 'node:fs/promises';
import { dirname, join, normalize } from 'node:path';

/**
 * The rooms of src/ from the bottom to the top; a room imports rooms below it only. `.` is the files beside the rooms,
 * which every room uses; the entry points are rooms of their own.
 */
const layers = [
  ...['.', 'config', 'onnx', 'graph', 'ops', 'autodiff.ts', 'precision', 'targets', 'graphBuilder.ts'],
  ...['nn', 'losses', 'optimizers', 'encoders', 'programs', 'methods'],
  ...[
    'data',
    'engines',
    'distributed',
    'doctor',
    'profile',
    'tuning',
    'diagnostics',
    'training',
    'tensorboard',
  ],
  ...[
    'evaluation',
    'import',
    'quantization',
    'export',
    'golden',
    'report',
    'check',
    'ablation',
    'web',
    'embedding',
    'demo',
    'index.ts',
    'cli',
  ],
];

/** The one file that puts a training run together; nothing but an `import()` in the process of the run leads to it. */
const composition = 'training/trainingJob.ts';

/** `from '...'`, `import '...'`, `import('...')`; of types, too. */
const imported = /\b(?:from|import)\s*\(?\s*'(\.[^']+)\.js'/g;

function roomOf(path: string): string {
  const slash = path.indexOf('/');
  if (slash >= 0) return path.slice(0, slash);
  return layers.includes(path) ? path : '.';
}

describe('layers of src/', () => {
  it('a room imports rooms below it only', async () => {
    const files = (await readdir('src', { recursive: true })).filter((path) => path.endsWith('.ts'));
    const upwards: string[] = [];
    let count = 0;
    for (const file of files) {
      expect(layers, file).to.include(roomOf(file));
      const text = await readFile(join('src', file), 'utf8');
      for (const [, path] of text.matchAll(imported)) {
        const other = `${normalize(join(dirname(file), path!))}.ts`;
        count++;
        if (file !== composition && layers.indexOf(roomOf(other)) > layers.indexOf(roomOf(file))) {
          upwards.push(`${file} imports ${other}`);
        }
      }
    }
    expect(count).to.be.greaterThan(500);
    expect(upwards).to.deep.equal([]);
  });

  it('CONTRIBUTING.md names every room, and none that there is not', async () => {
    const rooms = (await readdir('src', { withFileTypes: true })).flatMap((entry) =>
      entry.isDirectory() ? [entry.name] : [],
    );
    const text = await readFile('CONTRIBUTING.md', 'utf8');
    const order = /^config, onnx ← .*$/m
      .exec(text)![0]
      .split(/ ← |, /)
      .map((name) => name.replace(/^autodiff$/, 'autodiff.ts'));
    const table = Array.from(text.matchAll(/^\| (`[^|]*?) +\|/gm), ([, cell]) => cell!.split(', ')).flat();
    expect(order.filter((name) => !name.endsWith('.ts')).sort()).to.deep.equal(rooms.sort());
    expect(table.map((name) => name.replaceAll('`', ''))).to.include.members(rooms);
  });

  it('the command line loads a parser and the config before a command runs, no operator, engine or decoder', async () => {
    const compiled = join('dist', 'src');
    const files = new Set(['cli/main.js']);
    const packages = new Set<string>();
    for (const file of files) {
      const text = await readFile(join(compiled, file), 'utf8');
      for (const [, path] of text.matchAll(/^(?:import|export) (?:[^'";]* from )?'([^']+)';/gm)) {
        if (path!.startsWith('.')) files.add(normalize(join(dirname(file), path!)));
        else if (!path!.startsWith('node:')) packages.add(path!);
      }
    }
    expect([...packages].sort()).to.deep.equal(['commander', 'fastest-levenshtein', 'zod']);
    const rooms = new Set(Array.from(files, (file) => roomOf(file)));
    for (const room of ['cli', 'config']) expect([...rooms]).to.include(room);
    for (const room of ['ops', 'targets', 'engines', 'data', 'methods'])
      expect([...rooms]).to.not.include(room);
  });
});
