import { expect } from 'chai';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { z } from 'zod';
import { SlimclrError } from '../src/errors.js';
import { readNamedFile, readPlainFile } from '../src/plainFile.js';
import { parseJson, readJson, readJsonIfThere } from '../src/readJson.js';

const schema = z.object({
  format: z.literal('graphs'),
  graphs: z.array(z.object({ name: z.string(), flops: z.number().min(0) })),
  shape: z.array(z.union([z.int(), z.string()])).optional(),
  by: z.record(z.string(), z.boolean()).optional(),
});

describe('JSON files that are read back', () => {
  const folder = mkdtempSync(join(tmpdir(), 'slimclr-json-'));
  const file = (name: string, text: string): string => {
    writeFileSync(join(folder, name), text);
    return join(folder, name);
  };
  const messageOf = (text: string): string => {
    try {
      parseJson(text, schema, 'a.json');
    } catch (error) {
      expect(error).to.be.instanceOf(SlimclrError);
      return (error as Error).message;
    }
    throw new Error(`accepted: ${text}`);
  };
  const failure = async (result: Promise<unknown>): Promise<string> => {
    try {
      await result;
    } catch (error) {
      expect(error).to.be.instanceOf(SlimclrError);
      return (error as Error).message;
    }
    throw new Error('no error');
  };

  it('names the place, the value and what is accepted', () => {
    for (const [text, message] of [
      ['null', 'it is null; accepted: an object'],
      ['[]', 'it is []; accepted: an object'],
      ['{"graphs": []}', 'format is missing; accepted: "graphs"'],
      ['{"format": "x", "graphs": []}', 'format is "x"; accepted: "graphs"'],
      ['{"format": "graphs", "graphs": {}}', 'graphs is {}; accepted: a list'],
      [
        '{"format": "graphs", "graphs": [{"name": "a", "flops": null}]}',
        'graphs[0].flops is null; accepted: a number',
      ],
      [
        '{"format": "graphs", "graphs": [{"name": "a", "flops": -1}]}',
        'graphs[0].flops is -1; accepted: a number >= 0',
      ],
      [
        '{"format": "graphs", "graphs": [{"name": "a", "flops": 1e999}]}',
        'graphs[0].flops is Infinity; accepted: a number',
      ],
      [
        '{"format": "graphs", "graphs": [], "shape": [1, null]}',
        'shape[1] is null; accepted: a number, or a string',
      ],
      ['{"format": "graphs", "graphs": [], "by": {"a": 1}}', 'by.a is 1; accepted: true, false'],
    ] as const) {
      expect(messageOf(text)).to.equal(`a.json: ${message}`);
    }
  });

  it('names the kinds of a union', () => {
    const kinds = z.discriminatedUnion('kind', [
      z.object({ kind: z.literal('a') }),
      z.object({ kind: z.literal('b') }),
    ]);
    expect(() => parseJson('{"kind": "c"}', kinds, 'a.json')).to.throw('kind is "c"; accepted: "a", "b"');
  });

  it('says in one line that a text is torn', () => {
    for (const text of ['', '{"format":\n', '\0\n{', '{"a": "\u001b[2J\n"}']) {
      expect(messageOf(text)).to.match(/^a\.json: not JSON, or a part of it( \(position \d+\))?$/);
    }
  });

  it('accepts a byte order mark', async () => {
    const path = file('mark.json', '\uFEFF{"format": "graphs", "graphs": []}');
    expect(await readJson(path, schema)).to.deep.equal({ format: 'graphs', graphs: [] });
  });

  it('tells an absent file from an unreadable one', async () => {
    expect(await readJsonIfThere(join(folder, 'absent.json'), schema)).to.equal(undefined);
    expect(await failure(readJson(join(folder, 'absent.json'), schema))).to.contain('no such file');
    expect(await failure(readJson(folder, schema))).to.contain('is no file; accepted: a regular file');
  });

  it('neither reads a device nor waits for a pipe', async function () {
    if (process.platform === 'win32') this.skip();
    const pipe = join(folder, 'pipe');
    execFileSync('mkfifo', [pipe]);
    expect(await failure(readJson(pipe, schema))).to.contain('accepted: a regular file');
    expect(await failure(readPlainFile('/dev/zero'))).to.contain('accepted: a regular file');
  });

  it('reads files that others name only within the folder', async function () {
    if (process.platform === 'win32') this.skip();
    file('here.txt', 'content');
    symlinkSync('here.txt', join(folder, 'link.txt'));
    expect(String(await readNamedFile(folder, 'here.txt'))).to.equal('content');
    expect(await failure(readNamedFile(folder, 'link.txt'))).to.contain('is a link');
    for (const name of ['../x', '/dev/zero', 'a/b', '', '.', '..', 'a\\b', 'a\0b']) {
      expect(await failure(readNamedFile(folder, name))).to.contain('accepted: the plain name of a file');
    }
    expect(await failure(readNamedFile(folder, 'absent'))).to.contain('cannot be read');
  });
});
