import { mkdtemp, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { readLabelFile } from '../../src/data/labelFile.js';
import { UsageError } from '../../src/errors.js';
import { rejection } from '../support/rejection.js';
import { removeFolder } from '../support/removeFolder.js';

describe('readLabelFile', () => {
  let folder: string;
  before(async () => (folder = await mkdtemp(join(tmpdir(), 'slimclr-labels-'))));
  after(() => removeFolder(folder));

  async function read(name: string, content: string | Uint8Array) {
    const path = join(folder, name);
    await writeFile(path, content);
    return readLabelFile(path);
  }

  const pairs = async (name: string, content: string | Uint8Array) => [...(await read(name, content)).labels];

  const expected = [
    ['a/1.jpg', 'cat'],
    ['a/2.jpg', 'dog, large'],
  ];

  const forms: Record<string, readonly [name: string, content: string | Uint8Array]> = {
    'CSV without a header': ['a.csv', 'a/1.jpg,cat\na/2.jpg,"dog, large"\n'],
    'CSV with a header, byte order mark and CRLF': [
      'b.csv',
      '\ufefffile_name,label\r\na/1.jpg,cat\r\na/2.jpg,"dog, large"\r\n',
    ],
    'CSV with more columns, in another order': [
      'c.csv',
      'split,Label,size,Image-Path\ntrain,cat,3,a/1.jpg\ntest,"dog, large",4,a/2.jpg\n',
    ],
    'CSV whose header names one of two columns': ['d.csv', 'id,breed\na/1.jpg,cat\na/2.jpg,"dog, large"'],
    'CSV with semicolons, spaces and empty lines': [
      'e.csv',
      'path;label\n\n a/1.jpg ; cat\na/2.jpg;dog, large\n\n',
    ],
    tabs: ['f.txt', 'a/1.jpg\tcat\na/2.jpg\tdog, large\n'],
    'UTF-16, as spreadsheets write it': [
      'g.csv',
      Buffer.from('\ufeffa/1.jpg,cat\na/2.jpg,"dog, large"\n', 'utf16le'),
    ],
    'paths with backslashes and ./': ['h.csv', '.\\a\\1.jpg,cat\n./a/2.jpg,"dog, large"\n'],
    'JSON of labels by path': ['a.json', '{"a/1.jpg": "cat", "a/2.jpg": "dog, large"}'],
    'JSON, a list': [
      'b.json',
      '[{"file": "a/1.jpg", "label": "cat"}, {"path": "a/2.jpg", "class": "dog, large"}]',
    ],
    'JSON lines': [
      'c.jsonl',
      '{"file_name": "a/1.jpg", "label": "cat"}\n{"file_name": "a/2.jpg", "label": "dog, large"}\n\n',
    ],
    'JSON lines under .json': [
      'd.json',
      '{"file": "a/1.jpg", "label": "cat"}\r\n{"file": "a/2.jpg", "label": "dog, large"}\r\n',
    ],
  };
  for (const [title, [name, content]] of Object.entries(forms)) {
    it(title, async () => expect(await pairs(name, content)).to.deep.equal(expected));
  }

  it('numbers and truths are names; an empty field and null are no label', async () => {
    const csv = await pairs('n.csv', 'path,label\na,0\nb,007\nc,\nd,1.5\n');
    expect(csv).to.deep.equal([['a', '0'], ['b', '007'], ['c', null], ['d', '1.5']]); // prettier-ignore
    const json = await pairs('n.json', '{"a": 0, "b": true, "c": null, "d": " x "}');
    expect(json).to.deep.equal([['a', '0'], ['b', 'true'], ['c', null], ['d', 'x']]); // prettier-ignore
  });

  it('the first row is told where it may be a header with other names', async () => {
    expect((await read('o.csv', 'bild,sorte\na.jpg,cat\n')).firstRow).to.equal('bild');
    expect((await read('p.csv', 'path,label\na.jpg,cat\n')).firstRow).to.equal(null);
  });

  it('the same label twice is one; two labels are refused', async () => {
    expect(await pairs('q.csv', 'a,x\na,x\n')).to.deep.equal([['a', 'x']]);
    const error = await rejection(read('r.csv', 'a,x\nb,y\n./a,z\n'));
    expect(error).to.be.instanceOf(UsageError);
    expect(error.message).to.match(
      /^data\.labels: .*r\.csv: "a" has two labels, "x" and, in line 3, "z"; accepted: one$/,
    );
  });

  const refused: Record<string, readonly [name: string, content: string | Uint8Array, message: RegExp]> = {
    'one column': ['1.csv', 'a.jpg\nb.jpg\n', /one column, "a\.jpg"; accepted: two, or a header/],
    'three columns without a header': [
      '2.csv',
      'a,b,c\n',
      /3 columns, "a", "b", "c"; accepted: two, or a header that names path \(file_name/,
    ],
    'a row of another length': [
      '3.csv',
      'path,label\na,x\nb,y,z\n',
      /line 3 has 3 columns; accepted: 2, as the first has$/,
    ],
    'a quote that does not end': ['4.csv', 'a,"x\nb,y\n', /4\.csv: Quote Not Closed.*; accepted: CSV/],
    'no label at all': ['5.csv', 'path,label\na,\n', /no label in it; accepted/],
    'an empty file': ['6.csv', '', /no label in it; accepted/],
    'a row without a path': ['7.csv', 'path,label\n,x\n', /line 2 has no path$/],
    'JSON that is none': ['8.json', '{"a": ', /not JSON/],
    'several labels': [
      '9.json',
      '{"a.jpg": ["x", "y"]}',
      /the label of "a\.jpg" is \["x","y"\]; accepted: a string, a number or null$/,
    ],
    'an item without a file': [
      '10.json',
      '[{"label": "x"}]',
      /item 0 is \{"label":"x"\}; accepted: \{"file"/,
    ],
    'a line that is no JSON': ['11.jsonl', '{"file": "a", "label": 1}\nb\n', /line 2 is not JSON/],
    'another encoding, in which two labels would be one': [
      '13.csv',
      Buffer.from('path,label\na,caf\xe9\nb,caf\xe8\n', 'latin1'),
      /13\.csv: line 2 is not UTF-8; accepted: UTF-8, or UTF-16 with a byte order mark$/,
    ],
    'another kind of file': [
      '12.xlsx',
      'a',
      /12\.xlsx; accepted: \.csv, \.tsv, \.txt, \.json, \.jsonl, \.ndjson$/,
    ],
  };
  for (const [title, [name, content, message]] of Object.entries(refused)) {
    it(`${title}: a UsageError of one line`, async () => {
      const error = await rejection(read(name, content));
      expect(error).to.be.instanceOf(UsageError);
      expect(error.message).to.match(message).and.not.include('\n');
    });
  }

  it('a file that is not there, and a folder', async () => {
    const missing = await rejection(readLabelFile(join(folder, 'none.csv')));
    expect(missing).to.be.instanceOf(UsageError);
    expect(missing.message).to.match(/^data\.labels: .*none\.csv cannot be read \(ENOENT/);
    const error = await rejection(readLabelFile(folder));
    expect(error).to.be.instanceOf(UsageError);
  });
});
