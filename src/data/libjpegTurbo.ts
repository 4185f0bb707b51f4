import { koffi } from '../koffi.js';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';

/** The part of TurboJPEG's interface (turbojpeg.h of libjpeg-turbo 3) that decoding takes. */
interface TurboJpeg {
  tj3Init(kind: number): unknown;
  tj3DecompressHeader(handle: unknown, file: Uint8Array, bytes: number): number;
  tj3Get(handle: unknown, parameter: number): number;
  tj3Decompress8(
    handle: unknown,
    file: Uint8Array,
    bytes: number,
    pixels: Uint8Array,
    pitch: number,
    format: number,
  ): number;
  tj3Destroy(handle: unknown): void;
}

/** TJINIT_DECOMPRESS, TJPF_RGB, TJPARAM_JPEGWIDTH and TJPARAM_JPEGHEIGHT. */
const [decompress, rgb, widthParameter, heightParameter] = [1, 0, 5, 6] as const;

const library = loadLibrary();

/** Whether libjpeg-turbo is there: the packages are optional peers, and hold the library for Linux only. */
export const hasLibjpegTurbo = library !== null;

/**
 * Decode a JPEG of known size to RGB, [H, W, 3], into `pixels`, in the calling thread: the bits that sharp gives, whose
 * decoder is of the same family, without the time of its pipeline.
 * @returns false, with anything in `pixels`, without the library, for another size, and after any warning
 */
export function decodeInto(pixels: Uint8Array, width: number, height: number, file: Uint8Array): boolean {
  if (library === null || pixels.length !== 3 * width * height) return false;
  const handle = library.tj3Init(decompress);
  try {
    return (
      library.tj3DecompressHeader(handle, file, file.length) === 0 &&
      library.tj3Get(handle, widthParameter) === width &&
      library.tj3Get(handle, heightParameter) === height &&
      library.tj3Decompress8(handle, file, file.length, pixels, 0, rgb) === 0
    );
  } finally {
    library.tj3Destroy(handle);
  }
}

function loadLibrary(): TurboJpeg | null {
  const require = createRequire(import.meta.url);
  // The second one is for Alpine's C library.
  for (const platform of [`linux-${process.arch}`, `linux-${process.arch}-musl`]) {
    try {
      const { load } = koffi();
      const root = dirname(require.resolve('@julusian/jpeg-turbo/package.json'));
      const library = load(join(root, 'prebuilds', `jpeg-turbo-${platform}`, 'libturbojpeg.so.0'));
      return {
        tj3Init: library.func('void *tj3Init(int)'),
        tj3DecompressHeader: library.func('int tj3DecompressHeader(void *, const uint8_t *, size_t)'),
        tj3Get: library.func('int tj3Get(void *, int)'),
        tj3Decompress8: library.func(
          'int tj3Decompress8(void *, const uint8_t *, size_t, uint8_t *, int, int)',
        ),
        tj3Destroy: library.func('void tj3Destroy(void *)'),
      };
    } catch {
      // Not installed, or for another machine.
    }
  }
  return null;
}
