import { expect } from 'chai';
import { terminalColumns } from '../../src/cli/terminal.js';

describe('terminalColumns', () => {
  it('columns of a terminal; null of none, of a narrow one, and of one that does not say', () => {
    expect(terminalColumns({ isTTY: true, columns: 40 }, 40)).to.equal(40);
    for (const stream of [
      {},
      { columns: 80 },
      { isTTY: true, columns: 39 },
      { isTTY: true, columns: 0 },
      { isTTY: true },
    ]) {
      expect(terminalColumns(stream, 40), JSON.stringify(stream)).to.equal(null);
    }
  });
});
