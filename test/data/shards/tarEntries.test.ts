import { spawnSync } from 'node:child_process';
import {
  closeSync,
  fstatSync,
  openSync,
  readFileSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { FileWindow } from '../../../src/data/shards/fileWindow.js';
import { tarEntries, type TarEntry } from '../../../src/data/shards/tarEntries.js';
import { endMark, tarFile } from '../../../src/data/shards/tarWriter.js';
import { removeFolder } from '../../support/removeFolder.js';

const hasPython = spawnSync('python3', ['--version']).status === 0;
const needsPython = hasPython ? '' : ' (not here: no python3)';

/** What Python's tarfile finds: name, offset of the data and size of each regular file. */
const list = `
import json, sys, tarfile
with tarfile.open(sys.argv[1]) as archive:
    print(json.dumps([[m.name, m.offset_data, m.size] for m in archive if m.isreg()]))
`;

/** Files of every size around a block, names of every length around a header's, folders, links and a device. */
const write = `
import io, sys, tarfile
form = {'ustar': tarfile.USTAR_FORMAT, 'gnu': tarfile.GNU_FORMAT, 'pax': tarfile.PAX_FORMAT}[sys.argv[2]]
headers = {'comment': 'all of them'} if sys.argv[2] == 'pax' else {}
with tarfile.open(sys.argv[1], 'w', format=form, pax_headers=headers) as archive:
    def add(name, size=5, kind=tarfile.REGTYPE, link=''):
        info = tarfile.TarInfo(name)
        info.type, info.linkname, info.mtime = kind, link, 1.5 if form == tarfile.PAX_FORMAT else 1
        if kind == tarfile.REGTYPE: info.size = size
        archive.addfile(info, io.BytesIO(bytes(i % 251 for i in range(info.size))))
    for size in [0, 1, 511, 512, 513, 1024, 100000, 300000]: add('size/%d.bin' % size, size)
    add('folder', kind=tarfile.DIRTYPE)
    add('hard.bin', kind=tarfile.LNKTYPE, link='size/1.bin')
    add('soft.bin', kind=tarfile.SYMTYPE, link='size/1.bin')
    add('pipe', kind=tarfile.FIFOTYPE)
    for length in [95, 99, 100, 101, 150]:
        if form != tarfile.USTAR_FORMAT: add('x' * length)
        add('d' * 90 + '/' + 'x' * (length // 2))
    if form != tarfile.USTAR_FORMAT:
        add('deep/' * 60 + 'end.bin')
        add('long-link', kind=tarfile.SYMTYPE, link='y' * 200)
    add('größe/ł.bin')
    add('last.bin', 1000)
`;

describe('entries of tar archives', () => {
  let folder: string;
  let path: string;
  before(async () => void (folder = await mkdtemp(join(tmpdir(), 'slimclr-tar-'))));
  beforeEach(() => void (path = join(folder, 'a.tar')));
  after(() => removeFolder(folder));

  function read(): { entries: TarEntry[]; fault: string | null } {
    const file = openSync(path, 'r');
    try {
      const window = new FileWindow(file, fstatSync(file).size);
      const found = tarEntries((offset, length) => window.read(offset, length), window.size);
      const entries: TarEntry[] = [];
      for (;;) {
        const { done, value } = found.next();
        if (done) return { entries, fault: value };
        entries.push(value);
      }
    } finally {
      closeSync(file);
    }
  }
  const python = (script: string, ...args: string[]) => {
    const { status, stdout, stderr } = spawnSync('python3', ['-c', script, path, ...args], {
      encoding: 'utf8',
      env: { ...process.env, PYTHONIOENCODING: 'utf-8' },
    });
    expect(status, stderr).to.equal(0);
    return stdout;
  };
  const listed = () => JSON.parse(python(list)) as [string, number, number][];
  const found = () =>
    read()
      .entries.filter(({ kind }) => kind !== 'link')
      .map(({ name, offset, size }) => [name, offset, size]);

  for (const format of ['ustar', 'gnu', 'pax']) {
    (hasPython ? it : it.skip)(`${format}: those of Python's tarfile${needsPython}`, () => {
      python(write, format);
      expect(found()).to.deep.equal(listed());
      expect(read().fault).to.equal(null);
      expect(read().entries.length).to.be.greaterThan(12);
    });
  }

  (hasPython ? it : it.skip)(`a pax header of its own says the size${needsPython}`, () => {
    python(`
import io, sys, tarfile
with tarfile.open(sys.argv[1], 'w', format=tarfile.PAX_FORMAT) as archive:
    for name in ['a', 'b']:
        info = tarfile.TarInfo(name)
        info.size, info.pax_headers = 700, {'size': '700', 'path': name * 3}
        archive.addfile(info, io.BytesIO(bytes(700)))
`);
    expect(found()).to.deep.equal(listed());
    expect(found().map(([name]) => name)).to.deep.equal(['aaa', 'bbb']);
  });

  (hasPython ? it : it.skip)(`odd numbers, names and records: as Python's tarfile${needsPython}`, () => {
    python(`
import sys, tarfile
def field(text, length): return text.encode('latin1').ljust(length, b'\\0')
def header(name, size, kind='0', time='0', magic='ustar\\x0000', signed=False):
    block = bytearray(field(name, 100) + field('644', 8) + field('0', 8) * 2 + field(size, 12) + field(time, 12) + b' ' * 8 + field(kind, 101) + field(magic, 255))
    total = sum(byte - 256 if signed and byte > 127 else byte for byte in block)
    block[148:156] = field('%06o' % total, 8)
    return bytes(block)
def file(name, *more, size='%o' % 5, **of): return header(name, size, *more, **of) + field('x' * 5, 512)
def pax(*records):
    text = b''.join(records)
    return header('records', '%o' % len(text), 'x') + text.ljust(512, b'\\0')
def record(key, value):
    rest = b' ' + key + b'=' + value + b'\\n'
    return next(b'%d' % n + rest for n in range(999) if len(b'%d' % n + rest) == n)
with open(sys.argv[1], 'wb') as archive:
    archive.write(b''.join([
        header('a label', '', 'V'), header('folder', ' ', '5'),
        file('base256', size='\\x80' + '\\0' * 10 + '\\x05'),
        file('far from now', time='\\x80' + '\\x7f' * 11), file('long ago', time='\\xff' * 12),
        file('spaces', size='          5'), file('junk\\0behind\\nit'), file('no folder/'),
        file('old', '\\0', magic=''), file('ol\\xc3\\xa9', signed=True),
        pax(record(b'path', b'two\\nlines'), record(b'SCHILY.xattr.user', b'1\\n9 path=x\\n\\xff')) + file('short'),
        pax(record(b'SCHILY.xattr.user', b'\\n\\xff='), record(b'path', b'first')) + pax(record(b'path', b'second')) + file('short'),
        pax(record(b'type', b'foo'), record(b'mtime', b'nan')) + file('as it is'), header('blank', ''), file('last'),
    ]) + bytes(1024))
`);
    expect(found()).to.deep.equal(listed());
    expect(read().fault).to.equal(null);
    expect(found().map(([name]) => name)).to.include.members(['two\nlines', 'first', 'olé', 'junk', 'last']);
  });

  it('a size that no archive has ends it, whatever was found before counts', () => {
    const [first, second] = [tarFile('1', Buffer.alloc(9)), tarFile('2', Buffer.alloc(9))].map((parts) =>
      Buffer.concat(parts),
    ) as [Buffer, Buffer];
    for (const [size, fault] of [
      [Buffer.of(0xff, ...Buffer.alloc(9, 0xff), 0xfe, 0), 'no tar header at byte 1024'],
      [Buffer.of(0x80, ...Buffer.alloc(11, 0x7f)), 'it ends within 2, at byte 2048'],
      [Buffer.from('12x'.padEnd(12, '\0')), 'no tar header at byte 1024'],
    ] as const) {
      size.copy(second, 124);
      second.fill(' ', 148, 156);
      const sum = second.subarray(0, 512).reduce((total, byte) => total + byte);
      second.write(`${sum.toString(8).padStart(6, '0')}\0`, 148);
      writeFileSync(path, Buffer.concat([first, second]));
      const { entries, fault: found } = read();
      expect(entries[0]!.name).to.equal('1');
      expect(found).to.equal(fault);
    }
  });

  for (const format of ['gnu', 'pax']) {
    const tar = spawnSync('tar', ['--version'], { encoding: 'utf8' });
    const hasGnuTar = tar.stdout?.includes('GNU tar') ?? false;
    (hasGnuTar ? it : it.skip)(`a file with holes (${format}) is known as one; what follows is found`, () => {
      const sparse = join(folder, 'sparse.bin');
      writeFileSync(sparse, '');
      const file = openSync(sparse, 'r+');
      // More pieces than a header has room for.
      for (let i = 0; i < 40; i++) writeSync(file, 'x', 100_000 * i);
      closeSync(file);
      truncateSync(sparse, 5_000_000);
      writeFileSync(join(folder, 'after.bin'), 'after');
      const made = spawnSync('tar', [
        ...['-C', folder, '-S', `--format=${format}`, '-cf', path],
        ...['sparse.bin', 'after.bin'],
      ]);
      expect(made.status).to.equal(0);
      const { entries, fault } = read();
      expect(fault).to.equal(null);
      expect(entries.map(({ name, kind }) => `${name}: ${kind}`)).to.deep.equal([
        'sparse.bin: sparse',
        'after.bin: file',
      ]);
      const { offset, size } = entries[1]!;
      expect(readFileSync(path).toString('utf8', offset, offset + size)).to.equal('after');
    });
  }

  (hasPython ? it : it.skip)(
    `what is written here is what Python reads, and always the same${needsPython}`,
    () => {
      const names = ['a/1.cls', 'ü/ö.cls', `n/${'x'.repeat(120)}.cls`, `${'d/'.repeat(80)}y.cls`];
      const archive = () =>
        Buffer.concat([...names.flatMap((name, i) => tarFile(name, Buffer.alloc(300 * i, i))), endMark]);
      writeFileSync(path, archive());
      expect(archive().equals(readFileSync(path))).to.equal(true);
      expect(listed().map(([name, , size]) => [name, size])).to.deep.equal(
        names.map((name, i) => [name, 300 * i]),
      );
      expect(found()).to.deep.equal(listed());
    },
  );

  describe('ends', () => {
    const two = () =>
      Buffer.concat(['a.bin', 'b.bin'].flatMap((name) => tarFile(name, Buffer.alloc(700, 1))));
    const endOf = (bytes: Buffer) => {
      writeFileSync(path, bytes);
      const { entries, fault } = read();
      return { names: entries.map(({ name }) => name), fault };
    };

    it('where an archive ends: at the first block of zeros; that more follows is said', () => {
      const names = ['a.bin', 'b.bin'];
      for (const zeros of [512, 1024, 10240]) {
        expect(endOf(Buffer.concat([two(), Buffer.alloc(zeros)]))).to.deep.equal({ names, fault: null });
        expect(endOf(Buffer.concat([two(), Buffer.alloc(zeros), two()]))).to.deep.equal({
          names,
          fault: `what follows its end mark, from byte ${two().length + zeros} on, is not read`,
        });
      }
    });

    it('elsewhere: why is said, and what was found before counts', () => {
      const whole = two();
      const names = ['a.bin', 'b.bin'];
      expect(endOf(whole)).to.deep.equal({ names, fault: 'it ends without an end mark' });
      expect(endOf(whole.subarray(0, 2700))).to.deep.equal({
        names,
        fault: 'it ends within b.bin, at byte 2700',
      });
      expect(endOf(whole.subarray(0, 1600))).to.deep.equal({
        names: ['a.bin'],
        fault: 'it ends within a header, at byte 1600',
      });
      const damaged = Buffer.from(whole);
      damaged[1536 + 5] = 1;
      expect(endOf(damaged)).to.deep.equal({ names: ['a.bin'], fault: 'no tar header at byte 1536' });
      expect(endOf(Buffer.from('no archive at all'.repeat(99)))).to.deep.equal({
        names: [],
        fault: 'no tar header at byte 0',
      });
      expect(endOf(Buffer.alloc(0))).to.deep.equal({ names: [], fault: 'it is empty' });
    });
  });
});
