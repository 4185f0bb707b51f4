import { expect } from 'chai';
import { printable, printableLines } from '../src/printable.js';

describe('printable', () => {
  it('escapes of a terminal, C1 controls, line ends and turned writing are shown; other writing stays', () => {
    expect(printable('a\x1b[2J\x1b]0;x\x07.jpg')).to.equal('a\\x1b[2J\\x1b]0;x\\x07.jpg');
    expect(printable('\x9b31m\x7f\r\n\t')).to.equal('\\x9b31m\\x7f\\x0d\\x0a\\x09');
    expect(printable('photo\u202egpj.exe\u2028')).to.equal('photo\\u202egpj.exe\\u2028');
    expect(printable('\ud800x')).to.equal('\\ud800x');
    const names = 'Größe 猫 \u0645\u06cc\u200c\u062e \u{1f469}\u200d\u{1f52c} \ufffd';
    expect(printable(names)).to.equal(names);
    expect(printableLines('a\nb\x1b')).to.equal('a\nb\\x1b');
  });
});
