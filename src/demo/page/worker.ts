/**
 * Runs in a worker of the demo's page: one model. A worker of its own, so that the page stays lively, and so that what is
 * said of the memory is the memory of this model.
 */
import { Family, type Encoder, type OnnxRuntime } from '../../web/index.js';
import type {
  EmbedReply,
  EmbedRequest,
  OpenReply,
  OpenRequest,
  WorkerReply,
  WorkerRequest,
} from './messages.js';

interface WasmMemory {
  readonly buffer: { readonly byteLength: number };
}

/** The parts of the browser in use. */
declare const self: {
  onmessage: ((event: { readonly data: WorkerRequest }) => void) | null;
  postMessage(message: WorkerReply): void;
};
declare const WebAssembly: { Memory: new (description: object) => WasmMemory };

// ONNX Runtime keeps its memory to itself: it is noted when it is made.
const memories: WasmMemory[] = [];
const Memory = WebAssembly.Memory;
WebAssembly.Memory = class extends Memory {
  constructor(description: object) {
    super(description);
    memories.push(this);
  }
};

type Runtime = OnnxRuntime & { readonly env: { readonly wasm: { wasmPaths?: string } } };

let encoder: Promise<Encoder> | undefined;

self.onmessage = ({ data }) => {
  const answer = data.kind === 'open' ? opened(data) : embedded(data);
  answer.then(
    (reply) => self.postMessage({ id: data.id, reply }),
    (error: Error) => self.postMessage({ id: data.id, reply: { error: error.message } }),
  );
};

async function opened({ manifest, runtime, model: file, provider }: OpenRequest): Promise<OpenReply> {
  encoder = open(manifest, runtime, file, provider);
  const { model } = await encoder;
  const milliseconds = await (await encoder).measure();
  const bytes = model.bytes + (model.externalData?.bytes ?? 0);
  const { parameters, multiplyAdds } = model;
  return { milliseconds, memory: memory(), bytes, parameters, multiplyAdds };
}

async function open(
  manifest: string,
  runtime: string,
  file: string,
  provider: 'wasm' | 'webgpu',
): Promise<Encoder> {
  const ort = (await import(new URL(`ort.${provider}.min.mjs`, runtime).href)) as Runtime;
  ort.env.wasm.wasmPaths = runtime;
  const family = await Family.open(manifest, { ort, provider });
  const model = family.manifest.models.find((other) => other.file === file);
  if (!model) throw new Error(`${manifest} has no model ${file}`);
  return family.encoder(model);
}

async function embedded({ picture }: EmbedRequest): Promise<EmbedReply> {
  const opened = await encoder!;
  const { features, milliseconds } = await opened.embed(picture);
  const length = Math.hypot(...features) || 1;
  return { features: features.map((value) => value / length), milliseconds, memory: memory() };
}

function memory(): number {
  return memories.reduce((sum, { buffer }) => sum + buffer.byteLength, 0);
}
