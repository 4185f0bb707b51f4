import type * as ort from 'onnxruntime-web';
import { fromFloat16 } from '../onnx/float16.js';
import type { FamilyModel } from './manifest.js';
import { ModelInput, type InputTensor, type Pixels } from './modelInput.js';
import { pixelsOf, type Picture } from './picture.js';

/** ONNX Runtime's module for browsers, of any flavour: `onnxruntime-web`, `onnxruntime-web/webgpu`. */
export type OnnxRuntime = Pick<typeof ort, 'InferenceSession' | 'Tensor'>;

/** What a model makes of an image. */
export interface Embedding {
  /** Of the output `features`: [C], not normalised. */
  readonly features: Float32Array;
  /** Every output by its name, such as `logits`; the shape is that of one image. */
  readonly outputs: Readonly<
    Record<string, { readonly shape: readonly number[]; readonly data: Float32Array }>
  >;
  /** Of the run that the image was in. */
  readonly milliseconds: number;
}

/** Runs before the timed ones. */
const warmUpRuns = 2;
/** A sample lasts this long at least, for clocks of browsers are coarse; as many samples as fit into the time. */
const timing = { sample: 4, samples: { atLeast: 3, atMost: 15 }, total: 400 };

/** A model that is open. */
export class Encoder {
  readonly #input: ModelInput;

  /**
   * Of `Family.encoder`. `turns` is what the models of a page take turns by.
   * @internal
   */
  constructor(
    readonly model: FamilyModel,
    private readonly runtime: OnnxRuntime,
    private readonly session: ort.InferenceSession,
    private readonly turns: Turns,
  ) {
    this.#input = new ModelInput(model);
  }

  /** What the model makes of an image of any size. Throws a SlimclrError for a file that is none. */
  async embed(picture: Picture): Promise<Embedding> {
    return (await this.embedAll([picture]))[0]!;
  }

  /** The same of several images, in as few runs as the model can. */
  async embedAll(pictures: readonly Picture[]): Promise<Embedding[]> {
    const { batch, size } = this.#input;
    // Whole images may be of several sizes.
    const most = batch ?? (size === null ? 1 : pictures.length);
    const embeddings: Embedding[] = [];
    for (let start = 0; start < pictures.length; start += most) {
      const images = await Promise.all(pictures.slice(start, start + most).map(pixelsOf));
      embeddings.push(...(await this.#embed(images)));
    }
    return embeddings;
  }

  /** Median milliseconds of a run of one image, or of the number that the model is made for, without preprocessing. */
  async measure(): Promise<number> {
    const size = this.#input.size ?? this.model.preprocessing.shortSide;
    const channels = this.model.preprocessing.mean.length;
    const feeds = this.#feeds(
      this.#input.of([{ width: size, height: size, data: new Uint8Array(channels * size ** 2) }]),
    );
    return this.turns.take(async () => {
      const time = async (runs: number) => {
        const start = performance.now();
        for (let run = 0; run < runs; run++) await this.session.run(feeds);
        return (performance.now() - start) / runs;
      };
      await time(warmUpRuns);
      const runs = Math.max(1, Math.min(100, Math.ceil(timing.sample / (await time(1)))));
      const end = performance.now() + timing.total;
      const samples: number[] = [];
      const { atLeast, atMost } = timing.samples;
      while (samples.length < atLeast || (samples.length < atMost && performance.now() < end)) {
        samples.push(await time(runs));
      }
      return samples.sort((a, b) => a - b)[samples.length >> 1]!;
    });
  }

  /** Frees its memory. */
  close(): Promise<void> {
    return this.turns.take(() => this.session.release());
  }

  async #embed(images: readonly Pixels[]): Promise<Embedding[]> {
    const feeds = this.#feeds(this.#input.of(images));
    const { results, milliseconds } = await this.turns.take(async () => {
      const start = performance.now();
      return { results: await this.session.run(feeds), milliseconds: performance.now() - start };
    });
    const tensors = Object.entries(results).map(([name, tensor]) => {
      const shape = tensor.dims.slice(1);
      return { name, shape, data: floatsOf(tensor), length: shape.reduce((a, b) => a * b, 1) };
    });
    return images.map((_, i) => {
      const outputs = Object.fromEntries(
        tensors.map(({ name, shape, data, length }) => [
          name,
          { shape, data: data.slice(i * length, (i + 1) * length) },
        ]),
      );
      const first = outputs['features'] ?? Object.values(outputs)[0]!;
      return { features: first.data, outputs, milliseconds };
    });
  }

  #feeds({ dtype, data, shape }: InputTensor): Record<string, ort.Tensor> {
    return { [this.#input.name]: new this.runtime.Tensor(dtype, data as never, shape) };
  }
}

function floatsOf({ type, data }: ort.Tensor): Float32Array {
  if (data instanceof Float32Array) return data;
  // Where the browser has no numbers of 16 bits, they come as their bits.
  if (type === 'float16' && data instanceof Uint16Array) return fromFloat16(data);
  return Float32Array.from(data as ArrayLike<number>);
}

/** One after the other: runs that overlap would disturb measurements, and WebGPU refuses them. */
export class Turns {
  #last: Promise<unknown> = Promise.resolve();

  take<T>(work: () => Promise<T>): Promise<T> {
    const turn = this.#last.then(work);
    this.#last = turn.catch(() => {});
    return turn;
  }
}
