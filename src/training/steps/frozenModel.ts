import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Binding, Engine, LoadedGraph, Place } from '../../engines/engine.js';
import { SlimclrError, UsageError } from '../../errors.js';
import { sameShape } from '../../graph/graph.js';
import type { ModelNeed } from '../../methods/method.js';
import { decodeModel, type OnnxModel } from '../../onnx/model.js';

/** A run's copy of a model that its method brings, in the program folder: a resumed run has the one that it began with. */
export function modelFile({ key }: Pick<ModelNeed, 'key'>): string {
  return `${key}.onnx`;
}

/**
 * A frozen model, such as the teacher of SEED: images `[N, 3, S, S]` -> embeddings `[N, D]`, its output `embedding` or
 * else its first one.
 */
export class FrozenModel {
  private constructor(
    private readonly engine: Engine,
    private readonly graph: LoadedGraph,
    private readonly input: string,
    private readonly output: string,
  ) {}

  /**
   * Loads the copy of a model in a program folder. Throws a UsageError when it is no ONNX model with one input, a
   * SlimclrError when it says that its embeddings are of another shape.
   */
  static async open(
    engine: Engine,
    folder: string,
    need: ModelNeed,
    batchSize: number,
  ): Promise<FrozenModel> {
    const path = join(folder, modelFile(need));
    const named = `method.${need.key} ${path}`;
    let graph: LoadedGraph;
    try {
      graph = await engine.load(path, { name: need.key });
    } catch (cause) {
      if (!(cause instanceof SlimclrError)) throw cause;
      throw new UsageError(
        `${named} cannot be opened (${cause.message}); ` +
          'accepted: an ONNX file, such as one of `slimclr export --head`',
        { cause },
      );
    }
    const model = decoded(await readFile(path));
    const constants = new Set(model?.initializers.map(({ name }) => name));
    const inputs = graph.inputs.filter((name) => !constants.has(name));
    if (inputs.length !== 1) {
      await graph.close();
      throw new UsageError(`${named} has the inputs ${inputs.join(', ')}; accepted: images alone`);
    }
    const output = graph.outputs.find((name) => name === 'embedding') ?? graph.outputs[0]!;
    const declared = model?.outputs.find(({ name }) => name === output)?.type.shape;
    const expected = [batchSize, need.dimension];
    const found = declared?.map((d, axis) => (typeof d === 'string' ? (expected[axis] ?? d) : d));
    if (found && !sameShape(found, expected)) {
      await graph.close();
      throw new SlimclrError(
        `${named} gives [${found.join(', ')}]; accepted: [${expected.join(', ')}] ` +
          `(method.dimension ${need.dimension})`,
      );
    }
    return new FrozenModel(engine, graph, inputs[0]!, output);
  }

  bind(images: Place, embedding: Place): Binding {
    return this.engine.bind(this.graph, { [this.input]: images }, { [this.output]: embedding });
  }

  close(): Promise<void> {
    return this.graph.close();
  }
}

/** Null for a model that ONNX Runtime takes and an OnnxModel cannot hold. */
function decoded(bytes: Uint8Array): OnnxModel | null {
  try {
    return decodeModel(bytes);
  } catch {
    return null;
  }
}
