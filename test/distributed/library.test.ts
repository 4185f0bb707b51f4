import { expect } from 'chai';
import { execFileSync } from 'node:child_process';

/** Names the libraries of MPI here, and says how much of the code of the C library differs from its file afterwards. */
const child = `
  const { installedMpiLibraries } = await import(${JSON.stringify(
    new URL('../../src/distributed/mpi/library.js', import.meta.url).href,
  )});
  const { openSync, readFileSync, readSync } = await import('node:fs');
  const libraries = installedMpiLibraries();
  const code = readFileSync('/proc/self/maps', 'utf8').matchAll(/^(\\w+)-(\\w+) r-xp (\\w+) .* (\\/.*\\/libc[.-].*)$/gm);
  const memory = openSync('/proc/self/mem');
  let [length, changed] = [0, 0];
  for (const [, start, end, offset, path] of code) {
    const here = Buffer.alloc(Number('0x' + end) - Number('0x' + start));
    const there = Buffer.alloc(here.length);
    length += readSync(memory, here, 0, here.length, Number('0x' + start));
    readSync(openSync(path), there, 0, there.length, Number('0x' + offset));
    changed += here.filter((byte, index) => byte !== there[index]).length;
  }
  console.log(JSON.stringify({ libraries, length, changed }));
`;

describe('libraries of MPI', () => {
  it('those that are here are named, and leave the functions of the C library alone', function () {
    if (process.platform !== 'linux') return this.skip();
    const env = { ...process.env };
    delete env.UCX_MEM_EVENTS;
    const output = execFileSync(process.execPath, ['--input-type=module', '-e', child], {
      encoding: 'utf8',
      env,
    });
    const { libraries, length, changed } = JSON.parse(output) as {
      libraries: { path: string; version: string }[];
      length: number;
      changed: number;
    };
    if (libraries.length === 0 || length === 0) return this.skip();
    for (const { path, version } of libraries) {
      expect(path).to.match(/^lib.*\.so\.\d+$/);
      expect(version).to.match(/^(Open MPI|MPICH|Intel\(R\) MPI) /);
    }
    expect(changed).to.equal(0);
  });
});
