/** The part of the JavaScript interface in use: the types of Node.js 20 leave it out. */
declare const WebAssembly: {
  readonly Memory: new (pages: { readonly initial: number; readonly maximum: number }) => {
    readonly buffer: ArrayBuffer;
  };
};

const pageBytes = 65536;

/**
 * Zeros that start at a page, in memory of their own. `new Float32Array` starts at any multiple of 16 bytes, where most
 * loads of an AVX-512 register touch two cache lines: a convolution with such weights takes up to 1.13 times as long.
 * The memory of WebAssembly is the one whose place JavaScript knows and that is as fast to index. Throws a RangeError beyond
 * 4 GiB.
 */
export function alignedFloats(length: number): Float32Array {
  const pages = Math.ceil((4 * length) / pageBytes);
  const { buffer } = new WebAssembly.Memory({ initial: pages, maximum: pages });
  return new Float32Array(buffer, 0, length);
}
