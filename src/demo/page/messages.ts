/** What the page asks its worker for, and what that answers. */

/** Asked first: which model to open. */
export interface OpenRequest {
  readonly kind: 'open';
  /** Absolute, of the manifest and of the folder with ONNX Runtime. */
  readonly manifest: string;
  readonly runtime: string;
  /** Of the model in the manifest. */
  readonly model: string;
  readonly provider: 'wasm' | 'webgpu';
}

export interface EmbedRequest {
  readonly kind: 'embed';
  readonly picture: Blob;
}

/** `id` is that of the answer. */
export type WorkerRequest = (OpenRequest | EmbedRequest) & { readonly id: number };

export interface OpenReply {
  /** Median of runs of one image. */
  readonly milliseconds: number;
  /** Of WebAssembly, in bytes. */
  readonly memory: number;
  readonly bytes: number;
  readonly parameters: number;
  readonly multiplyAdds: number;
}

export interface EmbedReply {
  /** Of length 1. */
  readonly features: Float32Array;
  readonly memory: number;
  readonly milliseconds: number;
}

export interface WorkerReply {
  readonly id: number;
  readonly reply: OpenReply | EmbedReply | { readonly error: string };
}
