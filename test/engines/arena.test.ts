import { expect } from 'chai';
import { Arena } from '../../src/engines/arena.js';
import type { Engine } from '../../src/engines/engine.js';
import { openEngine } from '../../src/engines/openEngine.js';

const entries = [
  { name: 'a', shape: [3, 5] },
  { name: 'b', shape: [16] },
  { name: 'c', shape: [] },
];

describe('Arena', () => {
  let anywhere: Engine;
  before(async () => (anywhere = await openEngine({ provider: 'cpu', threads: 1 })));
  after(() => anywhere.close());
  /** The same engine as one would be on which every place is the whole of a memory. */
  const whole = () =>
    new Proxy(anywhere, {
      get: (engine, key) => {
        if (key === 'placesAnywhere') return false;
        const value: unknown = Reflect.get(engine, key);
        return typeof value === 'function' ? (value.bind(engine) as unknown) : value;
      },
    });

  it('tensors are parts of one memory, each at a multiple of 16 elements', async () => {
    const arena = new Arena(anywhere, entries);
    expect(arena.memories).to.have.length(1);
    expect(arena.length).to.equal(48);
    expect(entries.map(({ name }) => arena.offset(name))).to.deep.equal([0, 16, 32]);
    expect(arena.place('a').shape).to.deep.equal([3, 5]);
    expect(arena.place('a', [15]).shape).to.deep.equal([15]);
    await arena.write('b', new Float32Array(16).fill(7));
    const all = await arena.readAll();
    expect([...all].map((x, i) => (x === 7 ? i : -1)).filter((i) => i >= 0)).to.deep.equal(
      Array.from({ length: 16 }, (_, i) => 16 + i),
    );
    expect([...arena.viewOf('b', all)]).to.deep.equal([...(await arena.read('b'))]);
  });

  it('what is read is a copy: it stays as it was when the memory changes, and when its engine is closed', async () => {
    const engine = await openEngine({ provider: 'cpu', threads: 1 });
    const arena = new Arena(engine, entries);
    await arena.write('b', new Float32Array(16).fill(7));
    const [all, b] = [await arena.readAll(), await arena.read('b')];
    await arena.write('b', new Float32Array(16).fill(8));
    for (const values of [arena.viewOf('b', all), b]) expect([...values]).to.deep.equal(Array(16).fill(7));
    await engine.close();
    for (const values of [arena.viewOf('b', all), b]) expect([...values]).to.deep.equal(Array(16).fill(7));
  });

  it('where places begin nowhere but at the start of a memory: a memory a tensor, and the same values', async () => {
    const arena = new Arena(whole(), entries);
    expect(arena.memories.map(({ count }) => count)).to.deep.equal([15, 16, 1]);
    const values = Float32Array.from({ length: 48 }, (_, i) => (i === 15 || i > 32 ? 0 : i));
    await arena.writeAll(values);
    expect([...(await arena.readAll())]).to.deep.equal([...values]);
    expect([...(await arena.read('b'))]).to.deep.equal([...values.subarray(16, 32)]);
    expect(entries.every(({ name }) => arena.place(name).offset === 0)).to.equal(true);
  });

  it('pieces of a range: of at most so many elements, or a tensor each', () => {
    const lengths = (engine: Engine) =>
      new Arena(engine, entries)
        .pieces({ start: 16, end: 48 }, 20)
        .map(({ offset, shape }) => [offset, ...shape]);
    expect(lengths(anywhere)).to.deep.equal([[16, 20], [36, 12]]); // prettier-ignore
    expect(lengths(whole())).to.deep.equal([[0, 16], [0, 1]]); // prettier-ignore
  });

  it('an unknown name is an error', () => {
    const arena = new Arena(anywhere, entries);
    expect(() => arena.place('d')).to.throw('the arena holds no "d"');
    expect(() => arena.offset('d')).to.throw('the arena holds no "d"');
  });
});
