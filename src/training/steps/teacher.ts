import { sameShape } from '../../graph/graph.js';
import { reasonOf, SlimclrError, UsageError } from '../../errors.js';
import { createSession, type InferenceSession } from '../../runtime/onnxRuntime.js';
import { sessionOptions, type RuntimeOptions, type Tensor } from '../../runtime/session.js';

/**
 * A frozen model that supervises a student: images `[N, 3, S, S]` -> embeddings `[N, D]`, its output `embedding` or else
 * its first one.
 */
export class Teacher {
  /** Seconds spent inside ONNX Runtime so far. */
  seconds = 0;

  private constructor(
    private readonly session: InferenceSession,
    private readonly path: string,
    private readonly dimension: number,
  ) {}

  /** Throws a UsageError when the file is no ONNX model with one input. */
  static async open(path: string, dimension: number, options: RuntimeOptions): Promise<Teacher> {
    let session: InferenceSession;
    try {
      session = await createSession(path, sessionOptions(options));
    } catch (cause) {
      if (cause instanceof SlimclrError) throw cause;
      throw new UsageError(
        `method.teacher ${path} cannot be opened (${reasonOf(cause)}); ` +
          'accepted: an ONNX file, such as one of `slimclr export --head`',
        { cause },
      );
    }
    if (session.inputNames.length !== 1) {
      throw new UsageError(
        `method.teacher ${path} has the inputs ${session.inputNames.join(', ')}; accepted: images alone`,
      );
    }
    return new Teacher(session, path, dimension);
  }

  /** Embeddings of a batch, not normalised. Throws a SlimclrError when they are of another shape. */
  async embed(images: Tensor): Promise<Tensor> {
    const start = performance.now();
    const { inputNames, outputNames } = this.session;
    const output = outputNames.find((name) => name === 'embedding') ?? outputNames[0]!;
    const embedding = (await this.session.run({ [inputNames[0]!]: images }, [output]))[output]!;
    this.seconds += (performance.now() - start) / 1000;
    const shape = [images.dims[0]!, this.dimension];
    if (!sameShape(embedding.dims, shape)) {
      throw new SlimclrError(
        `method.teacher ${this.path} gives [${embedding.dims.join(', ')}]; accepted: [${shape.join(', ')}] ` +
          `(method.dimension ${this.dimension})`,
      );
    }
    return embedding;
  }

  async close(): Promise<void> {
    await this.session.release();
  }
}
