import { SlimclrError } from '../errors.js';
import { chooseWithin, type BudgetChoice } from './budget.js';
import { Encoder, Turns, type OnnxRuntime } from './encoder.js';
import { parseFamilyManifest, type FamilyFile, type FamilyManifest, type FamilyModel } from './manifest.js';

/** What ONNX Runtime computes with: WebAssembly on the processor, or the graphics processor. */
export type WebProvider = 'wasm' | 'webgpu';

export interface FamilyOptions {
  /** ONNX Runtime's module; default: `onnxruntime-web`, imported when a model is opened. */
  readonly ort?: OnnxRuntime;
  /** Default `wasm`. `webgpu` needs a flavour of the module that has it. */
  readonly provider?: WebProvider;
}

export interface ChoiceOptions {
  /** That a run of one image may take on this device, without preprocessing. */
  readonly milliseconds: number;
  /** Which models may be chosen; default: those that `isPlain` takes. */
  readonly candidates?: (model: FamilyModel) => boolean;
}

export interface Choice extends BudgetChoice<FamilyModel> {
  /** The model, open. */
  readonly encoder: Encoder;
}

/** The models of an export: one encoder at several widths, any of which can be opened. */
export class Family {
  readonly #turns = new Turns();
  readonly #weights = new Map<string, Promise<Uint8Array>>();

  private constructor(
    /** Of the manifest. */
    readonly url: string,
    readonly manifest: FamilyManifest,
    private readonly options: FamilyOptions,
  ) {}

  /**
   * Reads the manifest at a URL, which may be relative to the page.
   * @throws SlimclrError for what cannot be fetched or is no manifest.
   */
  static async open(url: string | URL, options: FamilyOptions = {}): Promise<Family> {
    const base = (globalThis as { document?: { baseURI: string } }).document?.baseURI;
    const absolute = new URL(url, base).href;
    const text = new TextDecoder().decode(await fetchBytes(absolute));
    return new Family(absolute, parseFamilyManifest(text, absolute), options);
  }

  /** Fetches and opens a model of the manifest, with the weights of the family where it shares them. */
  async encoder(model: FamilyModel): Promise<Encoder> {
    const [ort, bytes, weights] = await Promise.all([
      this.options.ort ?? import('onnxruntime-web'),
      this.#fetch(model),
      model.externalData && this.#shared(model.externalData),
    ]);
    const session = await this.#turns.take(() =>
      ort.InferenceSession.create(bytes, {
        executionProviders: [this.options.provider ?? 'wasm'],
        ...(weights && {
          externalData: [{ path: pathFrom(model.file, model.externalData!.file), data: weights }],
        }),
      }),
    );
    return new Encoder(model, ort, session, this.#turns);
  }

  /**
   * The largest model whose run fits into a budget on this device (`chooseWithin`), open; where none fits the smallest,
   * with `fits` false. Measures two models, and the chosen one if it is neither.
   * @throws SlimclrError when there is no candidate.
   */
  async choose({ milliseconds, candidates = isPlain }: ChoiceOptions): Promise<Choice> {
    // Of a width that is there in two forms, the first: what sets widths apart is their work.
    const models = [...onePerWidth(this.manifest.models.filter(candidates))];
    if (models.length === 0) throw new SlimclrError(`none of the models of ${this.url} is a candidate`);
    const open = new Map<FamilyModel, Encoder>();
    let encoder: Encoder | undefined;
    try {
      const choice = await chooseWithin(models, milliseconds, async (model) => {
        const opened = await this.encoder(model);
        open.set(model, opened);
        return opened.measure();
      });
      encoder = open.get(choice.model)!;
      return { ...choice, encoder };
    } finally {
      for (const opened of open.values()) if (opened !== encoder) await opened.close();
    }
  }

  #shared(file: FamilyFile): Promise<Uint8Array> {
    let weights = this.#weights.get(file.file);
    if (!weights) {
      weights = this.#fetch(file);
      this.#weights.set(file.file, weights);
      // What failed may be tried again.
      weights.catch(() => this.#weights.delete(file.file));
    }
    return weights;
  }

  /** A file of the family; throws a SlimclrError for one that is not what the manifest was written for. */
  async #fetch({ file, bytes, sha256 }: FamilyFile): Promise<Uint8Array> {
    const url = new URL(file, this.url).href;
    const content = await fetchBytes(url);
    const isSame = content.length === bytes && (await hashOf(content)) !== 'another';
    if (isSame) return content;
    throw new SlimclrError(`${url} is another file than the manifest says; accepted: files of one export`);

    /** Only pages of HTTPS and of this machine can hash. */
    async function hashOf(data: Uint8Array<ArrayBuffer>): Promise<'same' | 'another' | 'unknown'> {
      if (!globalThis.crypto?.subtle) return 'unknown';
      const digest = new Uint8Array(await crypto.subtle.digest('SHA-256', data));
      const hex = Array.from(digest, (byte) => byte.toString(16).padStart(2, '0')).join('');
      return hex === sha256 ? 'same' : 'another';
    }
  }
}

/**
 * Whether a model is an encoder as `slimclr export` writes it without options, in one file or with weights that are
 * shared: in float32, of the run's image size, normalised floats of any number of images in, `features` out.
 */
export function isPlain({ precision, size, inputs, outputs, preprocessing }: FamilyModel): boolean {
  const [{ dtype, shape } = { dtype: '', shape: [] }] = inputs;
  const anyBatch = typeof shape[0] === 'string';
  return (
    precision === 'float32' &&
    size === null &&
    dtype === 'float32' &&
    anyBatch &&
    preprocessing.inGraph.length === 0 &&
    outputs.length === 1 &&
    outputs[0]!.name === 'features'
  );
}

function onePerWidth(models: readonly FamilyModel[]): Iterable<FamilyModel> {
  const byWidth = new Map<number, FamilyModel>();
  for (const model of models) if (!byWidth.has(model.width)) byWidth.set(model.width, model);
  return byWidth.values();
}

async function fetchBytes(url: string): Promise<Uint8Array<ArrayBuffer>> {
  const response = await fetch(url).catch((cause: unknown) => {
    throw new SlimclrError(`${url} cannot be fetched`, { cause });
  });
  if (!response.ok) throw new SlimclrError(`${url} cannot be fetched: status ${response.status}`);
  return new Uint8Array(await response.arrayBuffer());
}

/** The path of `file` as the model at `model` names it, relative to its own folder; both are relative to one folder. */
function pathFrom(model: string, file: string): string {
  const folder = model.slice(0, model.lastIndexOf('/') + 1);
  return file.startsWith(folder) ? file.slice(folder.length) : file;
}
