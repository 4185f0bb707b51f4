import { expect } from 'chai';
import { eventPrinter } from '../../src/cli/eventPrinter.js';
import { StatusLine } from '../../src/cli/statusLine.js';

describe('eventPrinter', () => {
  it('many skipped files: the first are named, the others pointed to', () => {
    const lines: string[] = [];
    class Recorder extends StatusLine {
      override print(text: string): void {
        lines.push(text);
      }
    }
    const print = eventPrinter(new Recorder(), 'run');
    for (let i = 0; i < 1000; i++) print({ type: 'skipped', path: `a\x1b/${i}.png`, reason: 'is empty' });
    expect(lines.length).to.equal(21);
    expect(lines[19]).to.equal('skipped a\\x1b/19.png: is empty');
    expect(lines[20]).to.equal('skipped more files; events.jsonl names them all');
  });
});
