import { expect } from 'chai';
import onnxProto from 'onnx-proto';
import { captureProblem } from '../../src/engines/cuda/capture.js';
import { DeviceRoom } from '../../src/engines/deviceRoom.js';
import type { Place } from '../../src/engines/engine.js';
import { InProcessEngine } from '../../src/engines/inProcessEngine.js';
import { ortLibrary } from '../../src/engines/ortLibrary.js';
import type { Provider } from '../../src/engines/provider.js';
import { Graph } from '../../src/graph/graph.js';
import { emitMethod } from '../../src/methods/index.js';
import { encodeModel, irVersionFor, type OnnxModel } from '../../src/onnx/model.js';
import { Builder } from '../../src/ops/builder.js';
import { emit } from '../../src/targets/emit.js';
import { tinyConfig } from '../programs/tiny.js';
import { affine } from './models.js';

/** A model of one node; its shapes are those given. */
function model(opType: string, shape: readonly (number | string)[]): Uint8Array {
  const type = { dtype: 'float32', shape } as const;
  const one: OnnxModel = {
    ...{ graphName: 'one', opsets: { '': 17 }, irVersion: irVersionFor(17) },
    ...{ producer: 'test', producerVersion: '0', metadata: {}, initializers: [], values: [] },
    inputs: [{ name: 'x', type }],
    outputs: [{ name: 'y', type }],
    nodes: [{ name: 'node', opType, domain: '', inputs: ['x'], outputs: ['y'], attributes: {} }],
  };
  return encodeModel(one);
}

/** y = x, by whichever branch of an If; `condition` is a scalar. */
function branching(): Uint8Array {
  const { ModelProto, AttributeProto } = onnxProto.onnx;
  const whole = ModelProto.decode(model('Relu', [2]));
  const then = { name: 'then', node: [{ opType: 'Identity', input: ['x'], output: ['z'] }] };
  const body = { ...then, output: whole.graph!.output!.map((output) => ({ ...output, name: 'z' })) };
  const graph = (name: string) => ({ name, type: AttributeProto.AttributeType.GRAPH, g: body });
  const node = {
    ...{ name: 'node', opType: 'If', input: ['condition'], output: ['y'] },
    attribute: [graph('then_branch'), graph('else_branch')],
  };
  const condition = { name: 'condition', type: { tensorType: { elemType: 9, shape: {} } } };
  const input = [...whole.graph!.input!, condition];
  return ModelProto.encode({ ...whole, graph: { ...whole.graph, input, node: [node] } }).finish();
}

describe('captureProblem', () => {
  it('every graph of every program can be captured', async () => {
    const { programs } = emitMethod(tinyConfig({ runtime: { target: 'cuda' } }));
    expect(programs.map(({ entry }) => entry.kind)).to.include.members(['query', 'key', 'update', 'embed']);
    for (const { entry, model } of programs) {
      expect(await captureProblem(encodeModel(model)), entry.name).to.equal(null);
    }
  });

  it('an If, a NonZero: refused with the node', async () => {
    expect(await captureProblem(model('Relu', [2, 3]))).to.equal(null);
    expect(await captureProblem(branching())).to.match(/^[^\n]*node[^\n]*$/);
    expect(await captureProblem(model('NonZero', [2]))).to.match(
      /NonZero, whose output's shape the host reads/,
    );
  });

  it('a symbolic dimension: accepted where an input has it, which a binding fixes; refused elsewhere', async () => {
    const graph = new Graph('middle');
    const b = new Builder(graph);
    const x = graph.input('x', { dtype: 'float32', shape: ['N', 2] });
    graph.output('y', b.op('Relu', [b.op('Neg', [x])]));
    const whole = emit(graph, { opset: 17, version: '0' });
    expect(await captureProblem(encodeModel(whole))).to.equal(null);
    const [value] = whole.values;
    for (const symbol of ['M', '']) {
      const free = { ...value!, type: { dtype: 'float32', shape: [symbol, 2] } } as const;
      expect(await captureProblem(encodeModel({ ...whole, values: [free] }))).to.equal(
        `${value!.name} has a dimension "${symbol}" that no input fixes`,
      );
    }
  });
});

// The CPU stands for a device that captures: what it is asked for is seen, and what it computes is right.
describe('an engine that captures runs', () => {
  /** Sessions as they were asked for, and run options; `refuses`: the provider captures nothing. */
  async function opened({ refuses = false } = {}) {
    const [sessions, runs]: [boolean[], boolean[]] = [[], []];
    const provider: Provider = {
      graphs: true,
      append(_api, _session, graphs = false) {
        sessions.push(graphs);
        if (refuses && graphs) throw new Error('This session cannot use the graph capture feature');
      },
      async openRoom(openSession) {
        const options = { name: 'Cpu', device: 0, graphs: true, isLost: () => false };
        const room = await DeviceRoom.open(ortLibrary(), openSession, options);
        const runOptions = room.runOptions.bind(room);
        room.runOptions = (captured) => {
          runs.push(captured);
          return runOptions(captured);
        };
        return room;
      },
    };
    return { engine: await InProcessEngine.open({ provider: 'cpu', threads: 1 }, provider), sessions, runs };
  }

  /** y = 3 x + 10 of two elements, `y` where it is told: gives it, and which sessions and runs were to be captured. */
  async function run(subject: Awaited<ReturnType<typeof opened>>, isInPlace = false): Promise<unknown> {
    const { engine, runs } = subject;
    subject.sessions.length = 0;
    const graph = await engine.load(affine, { name: 'affine' });
    const sessions = [...subject.sessions];
    const at = (values: readonly number[], shape: readonly number[] = [values.length]): Place<'float32'> => {
      const memory = engine.allocate('float32', values.length);
      void engine.write(memory, Float32Array.from(values));
      return { memory, offset: 0, shape };
    };
    const x = at([1, 2]);
    const y = isInPlace ? x : at([0, 0]);
    const binding = engine.bind(graph, { x, factor: at([3], []) }, { y, product: at([0, 0]) });
    runs.length = 0;
    await engine.run(binding);
    // Zeros of a memory are written by runs of the engine's own.
    const captured = runs.includes(true);
    return { sessions, captured, y: [...(await engine.read(y.memory))] };
  }

  it('a run that writes nothing that it reads is captured, one in place is not', async () => {
    const subject = await opened();
    expect(await run(subject)).to.deep.equal({ sessions: [true], captured: true, y: [13, 16] });
    expect(await run(subject, true)).to.deep.equal({ sessions: [true], captured: false, y: [13, 16] });
    await subject.engine.close();
  });

  it('a graph that does not qualify has a session without', async () => {
    const { engine, sessions } = await opened();
    sessions.length = 0;
    await engine.load(branching(), { name: 'branching' });
    expect(sessions).to.deep.equal([false]);
    await engine.close();
  });

  it('a session that ONNX Runtime does not capture goes without', async () => {
    const subject = await opened({ refuses: true });
    expect(await run(subject)).to.deep.equal({ sessions: [true, false], captured: false, y: [13, 16] });
    await subject.engine.close();
  });
});
