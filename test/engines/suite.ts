import { expect } from 'chai';
import { mkdtemp, readFile, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { elements } from '../../src/engines/elements.js';
import type {
  Binding,
  ElementArrays,
  ElementType,
  Engine,
  LoadedGraph,
  Memory,
  Place,
} from '../../src/engines/engine.js';
import { SlimclrError } from '../../src/errors.js';
import { rejection } from '../support/rejection.js';
import { affine, identity, model, withExternalWeight } from './models.js';
import { removeFolder } from '../support/removeFolder.js';

/** An engine that the suite is to run on. */
export interface SuiteEngine {
  readonly title: string;
  /** Gives why it is not there, e.g. `no python3 with onnxruntime`; null where it is. */
  readonly absent: () => Promise<string | null>;
  readonly open: () => Promise<Engine>;
  /** What its memories can hold and its graphs compute; default: all. */
  readonly types?: readonly ElementType[];
}

const allTypes = Object.keys(elements) as ElementType[];

/** Values of a type that no other type would give back. */
const samples: ElementArrays = {
  float32: Float32Array.of(1.5, -0, 3e38, 1e-40),
  float64: Float64Array.of(1 / 3, -0, 1e300, 5e-324),
  float16: Uint16Array.of(0x3c00, 0x8000, 0x7bff, 0x0001),
  int64: BigInt64Array.of(1n, -(2n ** 63n), 2n ** 63n - 1n, -1n),
  bool: Uint8Array.of(1, 0, 1, 1),
  uint8: Uint8Array.of(1, 0, 255, 128),
};

/** The same tests for every engine: what engine.ts promises. */
export function engineSuite({ title, absent, open, types = allTypes }: SuiteEngine): void {
  describe(`engine ${title}`, function () {
    this.timeout(120_000);
    let engine: Engine;
    let folder: string;

    before(async function () {
      const reason = await absent();
      if (reason !== null) {
        // Its title is what the report shows.
        this.test!.parent!.title += ` (not here: ${reason})`;
        return this.skip();
      }
      folder = await mkdtemp(join(tmpdir(), 'slimclr-engine-'));
      engine = await open();
    });
    after(async () => {
      await engine?.close();
      if (folder !== undefined) await removeFolder(folder);
    });

    /** A place of its own with these values. */
    function placed<T extends ElementType>(
      type: T,
      values: ElementArrays[T],
      shape: readonly number[] = [values.length],
    ): Place<T> {
      const memory = engine.allocate(type, values.length);
      void engine.write(memory, values);
      return { memory, offset: 0, shape };
    }
    const floats = (...values: number[]) => placed('float32', Float32Array.from(values));
    const scalar = (value: number) => placed('float32', Float32Array.of(value), []);
    const read = async (memory: Memory, ...part: number[]) =>
      Array.from((await engine.read(memory, ...part)) as ArrayLike<number | bigint>);
    const load = (bytes = affine, name = 'affine'): Promise<LoadedGraph> => engine.load(bytes, { name });
    const message = async (work: () => unknown) => {
      const error = await rejection(Promise.resolve().then(work));
      expect(error).to.be.instanceOf(SlimclrError);
      expect(error.message).to.match(/^[^\n]+$/);
      return error.message;
    };

    it('says what it is', () => {
      expect(engine.facts.version).to.match(/^\d+\.\d+\.\d+/);
      expect(engine.facts.provider).to.be.oneOf(['cpu', 'cuda', 'webgpu']);
    });

    describe('memory', () => {
      for (const type of types) {
        it(`${type}: zeros at first; a part that is written at an offset, and nothing else, is read again`, async () => {
          const memory = engine.allocate(type, 9);
          const zero = type === 'int64' ? 0n : 0;
          expect(await read(memory)).to.deep.equal(Array(9).fill(zero));
          const values = samples[type];
          await engine.write(memory, values, 3);
          const expected = Array.from(values as ArrayLike<number | bigint>);
          expect(await read(memory, 3, 4)).to.deep.equal(expected);
          expect(await read(memory, 4, 2)).to.deep.equal(expected.slice(1, 3));
          expect(await read(memory)).to.deep.equal([zero, zero, zero, ...expected, zero, zero]);
          engine.free(memory);
        });
      }

      it('of no elements', async () => {
        expect(await read(engine.allocate('float32', 0))).to.deep.equal([]);
      });

      it('of megabytes, whole', async () => {
        const values = Float32Array.from({ length: 3_000_001 }, (_, i) => i);
        const memory = engine.allocate('float32', values.length);
        await engine.write(memory, values);
        expect(Buffer.from((await engine.read(memory)).buffer).length).to.be.greaterThanOrEqual(
          values.byteLength,
        );
        expect((await engine.read(memory, 2_999_999, 2)).join()).to.equal('2999999,3000000');
        engine.free(memory);
      });

      for (const type of types) {
        it(`${type}: a part is copied to a part of another, and nothing else`, async () => {
          const from = engine.allocate(type, 6);
          const to = engine.allocate(type, 9);
          await engine.write(from, samples[type], 1);
          // Not awaited: in its order.
          void engine.copy({ memory: from, offset: 2, shape: [3, 1] }, { memory: to, offset: 4, shape: [3] });
          void engine.write(from, samples[type], 2);
          const zero = type === 'int64' ? 0n : 0;
          const values = Array.from(samples[type] as ArrayLike<number | bigint>);
          const expected = [...Array<unknown>(4).fill(zero), ...values.slice(1), zero, zero];
          expect(await read(to)).to.deep.equal(expected);
          await engine.copy({ memory: to, offset: 4, shape: [1] }, { memory: from, offset: 0, shape: [] });
          expect(await read(from)).to.deep.equal([values[1], values[0], ...values]);
          for (const memory of [from, to]) engine.free(memory);
        });
      }

      it('is copied whole, from its start, to its end; of no elements', async () => {
        const [from, to] = [floats(1, 2, 3), floats(4, 5, 6)];
        const part = ({ memory }: Place<'float32'>, offset: number, count: number) =>
          ({ memory, offset, shape: [count] }) as const;
        await engine.copy(part(from, 0, 2), part(to, 1, 2));
        expect(await read(to.memory)).to.deep.equal([4, 1, 2]);
        await engine.copy(part(from, 3, 0), part(to, 0, 0));
        expect(await read(to.memory)).to.deep.equal([4, 1, 2]);
        await engine.copy(from, to);
        expect(await read(to.memory)).to.deep.equal([1, 2, 3]);
      });

      it('what is copied from or to places outside it, or of another size, is refused', async () => {
        const [from, to] = [floats(1, 2, 3), floats(4, 5, 6)];
        const outside = { ...from, offset: 1 };
        expect(await message(() => engine.copy(outside, to))).to.match(/accepted: .*float32\[3\]/);
        expect(await message(() => engine.copy(from, { ...to, offset: 2 }))).to.match(/float32\[3\]/);
        expect(await message(() => engine.copy(from, { ...to, shape: [2] }))).to.match(
          /^3 elements cannot be copied to a place of 2; accepted: one of 3$/,
        );
      });

      it('elements outside it are refused', async () => {
        const memory = engine.allocate('float32', 4);
        expect(await message(() => engine.read(memory, 3, 2))).to.match(/accepted: .*float32\[4\]/);
        expect(await message(() => engine.write(memory, new Float32Array(5)))).to.match(/float32\[4\]/);
        expect(await message(() => engine.read(memory, -1, 1))).to.match(/float32\[4\]/);
      });

      it('freed, or of another engine, it is refused', async () => {
        const memory = engine.allocate('float32', 4);
        engine.free(memory);
        expect(await message(() => engine.read(memory))).to.match(/float32\[4\]/);
        const other = await open();
        try {
          const foreign = other.allocate('float32', 5);
          expect(await message(() => engine.read(foreign))).to.match(/float32\[5\]/);
        } finally {
          await other.close();
        }
      });
    });

    describe('graphs', () => {
      it('names inputs, those with a default last, and outputs', async () => {
        const graph = await load();
        expect(graph).to.include({ name: 'affine' });
        expect(graph.inputs).to.deep.equal(['x', 'factor', 'shift']);
        expect(graph.outputs).to.deep.equal(['y', 'product']);
        await graph.close();
      });

      it('of a file, with external data beside it', async () => {
        const path = join(folder, 'external.onnx');
        await writeFile(path, withExternalWeight);
        await writeFile(join(folder, 'weights.bin'), Buffer.from(new Float32Array(64).fill(2).buffer));
        const graph = await engine.load(path, { name: 'external' });
        const [x, y] = [
          placed('float32', new Float32Array(64).fill(1)),
          placed('float32', new Float32Array(64)),
        ];
        await engine.run(engine.bind(graph, { x }, { y }));
        expect(await read(y.memory)).to.deep.equal(Array(64).fill(3));
        await graph.close();
      });

      it('that are refused: one line, and the engine goes on', async () => {
        expect(await message(() => load(new Uint8Array(100).fill(7), 'nonsense'))).to.match(/^nonsense: /);
        const unknown = model({
          inputs: { x: [1] },
          outputs: { y: [1] },
          nodes: [['NoSuchOperator', ['x'], ['y']]],
        });
        expect(await message(() => load(unknown, 'unknown'))).to.match(/^unknown: .*NoSuchOperator/);
        expect(await message(() => engine.load(join(folder, 'absent.onnx'), { name: 'absent' }))).to.match(
          /^absent: /,
        );
        await (await load()).close();
      });

      it('closed: their bindings are refused; closed twice is closed', async () => {
        const graph = await load();
        const [x, y] = [floats(1), floats(0)];
        const binding = engine.bind(graph, { x, factor: scalar(2) }, { y });
        await graph.close();
        await graph.close();
        expect(await message(() => engine.run(binding))).to.match(/^affine: /);
        expect(await message(() => engine.bind(graph, { x, factor: scalar(2) }, { y }))).to.match(
          /^affine: /,
        );
      });
    });

    describe('runs', () => {
      let graph: LoadedGraph;
      before(async () => (graph = await load()));
      after(() => graph.close());

      /** Elements to which y = x * factor + shift takes x. */
      async function run(binding: Binding, y: Place): Promise<number[]> {
        await engine.run(binding);
        return (await read(y.memory, y.offset, y.shape[0]!)) as number[];
      }

      it('scalars; an input with a default fed, then left out', async () => {
        const [x, y, factor] = [floats(1, 2, 3), floats(0, 0, 0), scalar(2)];
        const fed = engine.bind(graph, { x, factor, shift: scalar(0.5) }, { y });
        expect(await run(fed, y)).to.deep.equal([2.5, 4.5, 6.5]);
        expect(await run(engine.bind(graph, { x, factor }, { y }), y)).to.deep.equal([12, 14, 16]);
      });

      it('a graph in several lengths, bound at the same time', async () => {
        const factor = scalar(1);
        for (const length of [1, 5, 2]) {
          const [x, y] = [
            placed('float32', new Float32Array(length)),
            placed('float32', new Float32Array(length)),
          ];
          expect(await run(engine.bind(graph, { x, factor }, { y }), y)).to.deep.equal(
            Array(length).fill(10),
          );
        }
      });

      it('places that begin anywhere in a memory, what is around them untouched', async function () {
        if (!engine.placesAnywhere) return this.skip();
        const memory = engine.allocate('float32', 16);
        await engine.write(memory, new Float32Array(16).fill(1));
        await engine.write(memory, Float32Array.of(3), 0);
        const x = { memory, offset: 5, shape: [3] };
        const [y, factor] = [
          { ...x, offset: 9 },
          { memory, offset: 0, shape: [] },
        ];
        await engine.run(engine.bind(graph, { x, factor }, { y }));
        const expected = [3, ...Array<number>(8).fill(1), 13, 13, 13, 1, 1, 1, 1];
        expect(await read(memory)).to.deep.equal(expected);
      });

      it('an output in the place of an input', async () => {
        const x = floats(1, 2);
        const binding = engine.bind(graph, { x, factor: scalar(2), shift: scalar(1) }, { y: x });
        await engine.run(binding, binding);
        expect(await read(x.memory)).to.deep.equal([7, 11]);
      });

      it('calls take effect in their order, awaited or not', async () => {
        const [x, y, factor] = [floats(1), floats(0), scalar(2)];
        const binding = engine.bind(graph, { x, factor, shift: scalar(0) }, { y });
        const seen: Promise<number[]>[] = [];
        const copy = async () => Array.from(await engine.read(y.memory));
        for (const value of [1, 2, 3]) {
          void engine.write(factor.memory, Float32Array.of(value));
          void engine.run(binding);
          seen.push(copy());
        }
        expect(await Promise.all(seen)).to.deep.equal([[1], [2], [3]]);
        void engine.run(binding);
        engine.free(factor.memory);
        expect(await read(y.memory)).to.deep.equal([3]);
      });

      it('what a binding gets wrong is refused: names, missing inputs, places, a memory of another type', async () => {
        const [x, y, factor] = [floats(1), floats(0), scalar(2)];
        const bind = (inputs: Record<string, Place>, outputs: Record<string, Place>) => () =>
          engine.run(engine.bind(graph, inputs, outputs));
        expect(await message(bind({ x, factor, z: x }, { y }))).to.match(
          /^affine: no "z"; accepted: x, factor, shift/,
        );
        expect(await message(bind({ x, factor }, { x }))).to.match(/^affine: no "x"; accepted: y, product/);
        expect(await message(bind({ x }, { y }))).to.match(/^affine: .*factor/);
        expect(await message(bind({ x: { ...x, shape: [2] }, factor }, { y }))).to.match(/float32\[1\]/);
        if (types.includes('int64')) {
          const wrong = placed('int64', BigInt64Array.of(1n));
          expect(await message(bind({ x: wrong, factor }, { y }))).to.match(/^affine: /);
        }
        expect(await run(engine.bind(graph, { x, factor }, { y }), y)).to.deep.equal([12]);
      });

      it('a run that fails is one line, and the next one works', async () => {
        const [x, y, factor] = [floats(1, 2), floats(0, 0, 0), scalar(2)];
        const wrong = engine.bind(graph, { x, factor }, { y });
        expect(await message(() => engine.run(wrong))).to.match(/^affine: /);
        const right = { ...y, shape: [2] };
        const places = { x, factor };
        const memory = engine.allocate('float32', 2);
        expect(
          await run(engine.bind(graph, places, { y: { ...right, memory } }), { ...right, memory }),
        ).to.deep.equal([12, 14]);
      });

      it('a binding to memory that is freed is refused', async () => {
        const [x, y, factor] = [floats(1), floats(0), scalar(2)];
        const binding = engine.bind(graph, { x, factor }, { y });
        await engine.run(binding);
        engine.free(y.memory);
        expect(await message(() => engine.run(binding))).to.match(/^affine: .*freed/);
      });

      for (const type of types) {
        it(`${type}: through a graph, bit for bit`, async () => {
          const copy = await load(identity(type), 'identity');
          const x = placed(type, samples[type]);
          const y = { ...x, memory: engine.allocate(type, samples[type].length) };
          await engine.run(engine.bind(copy, { x }, { y }));
          expect(await read(y.memory)).to.deep.equal(Array.from(samples[type] as ArrayLike<number | bigint>));
          await copy.close();
        });
      }
    });

    it('two engines at once do not see each other', async () => {
      const other = await open();
      const graphs = await Promise.all([engine, other].map((e) => e.load(affine, { name: 'affine' })));
      const results = await Promise.all(
        [engine, other].map(async (e, i) => {
          const [x, y, factor] = [
            e.allocate('float32', 1),
            e.allocate('float32', 1),
            e.allocate('float32', 1),
          ];
          const place = (memory: Memory, shape: number[]) => ({ memory, offset: 0, shape });
          const places = { x: place(x, [1]), factor: place(factor, []) };
          const binding = e.bind(graphs[i]!, places, { y: place(y, [1]) });
          void e.write(x, Float32Array.of(1));
          void e.write(factor, Float32Array.of(i));
          await e.run(binding);
          return (await e.read(y))[0];
        }),
      );
      expect(results).to.deep.equal([10, 11]);
      await graphs[0]!.close();
      await other.close();
    });

    it('a trace names the nodes of all runs until it is ended', async () => {
      const graph = await engine.load(affine, { name: 'traced', traceFolder: folder });
      const [x, y, factor] = [floats(1), floats(0), scalar(2)];
      const binding = engine.bind(graph, { x, factor }, { y });
      await engine.run(binding, binding);
      const path = await graph.endTrace();
      expect(path.startsWith(join(folder, 'traced_')), path).to.equal(true);
      const events = JSON.parse(await readFile(path, 'utf8')) as { name: string }[];
      expect(events.filter(({ name }) => /kernel_time/.test(name))).to.have.length.greaterThanOrEqual(2);
      await graph.close();
    });

    it('optimised, a graph loses a node that does nothing; as it is, it keeps it', async () => {
      const twice = model({
        inputs: { x: [1] },
        outputs: { y: [1] },
        nodes: [
          ['Neg', ['x'], ['a']],
          ['Identity', ['a'], ['b']],
          ['Neg', ['b'], ['y']],
        ],
      });
      const ran = async (optimization: 'all' | 'disabled') => {
        const graph = await engine.load(twice, { name: optimization, optimization, traceFolder: folder });
        await engine.run(engine.bind(graph, { x: floats(1) }, { y: floats(0) }));
        const events = await readFile(await graph.endTrace(), 'utf8');
        await graph.close();
        return /b_kernel_time/.test(events);
      };
      expect([await ran('all'), await ran('disabled')]).to.deep.equal([false, true]);
    });

    it('closed, it refuses everything but close', async () => {
      const closing = await open();
      const graph = await closing.load(affine, { name: 'affine' });
      const memory = closing.allocate('float32', 1);
      await closing.close();
      await closing.close();
      expect(await message(() => closing.allocate('float32', 1))).to.match(/closed/);
      expect(await message(() => closing.read(memory))).to.match(/closed/);
      expect(await message(() => closing.load(affine, { name: 'affine' }))).to.match(/closed/);
      expect(await message(() => closing.bind(graph, {}, {}))).to.match(/closed/);
    });
  });
}
