import { encodeModule } from './assembler.js';
import { blendPairs } from './blurKernel.js';
import { normalize, saturate, scaleAndClamp, shiftHue, solarize, sumLuma } from './colorKernels.js';
import { blendColumns, blendRows } from './resampleKernels.js';

const functions = {
  blendRows,
  blendColumns,
  scaleAndClamp,
  sumLuma,
  saturate,
  shiftHue,
  blendPairs,
  solarize,
  normalize,
};

type Kernel = (...parameters: number[]) => number;

/** The kernels, on one memory of their own; all addresses are in bytes. */
export type ImageKernels = Readonly<Record<keyof typeof functions, Kernel>> & { readonly memory: Memory };

/** `WebAssembly.Memory`. */
export interface Memory {
  /** Replaced when the memory grows. */
  readonly buffer: ArrayBuffer;
  grow(pages: number): number;
}

/** The part of the JavaScript interface in use: the types of Node.js 20 leave it out. */
declare const WebAssembly: {
  readonly Module: new (bytes: Uint8Array) => object;
  readonly Instance: new (module: object) => { readonly exports: ImageKernels };
};

const module = new WebAssembly.Module(encodeModule(functions));

export function instantiateImageKernels(): ImageKernels {
  return new WebAssembly.Instance(module).exports;
}
