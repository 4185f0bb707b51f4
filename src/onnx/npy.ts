import { SlimclrError } from '../errors.js';
import { readPlainFile } from '../plainFile.js';
import type { TensorData } from './safetensors.js';
import {
  byteLength,
  bytesOf,
  elementCount,
  elementFormats,
  elementTypes,
  formatType,
  valuesOf,
  type ElementType,
} from './tensorType.js';

/*
 * NumPy's format of one array (numpy.lib.format): the magic string, the version, the length of the header, the header
 * as a Python dictionary, then the elements.
 */

const magic = Uint8Array.of(0x93, ...Buffer.from('NUMPY'));
/** Elements start at a multiple of this many bytes. */
const alignment = 64;
/** numpy's own bound; a longer one is taken for a foreign file. */
const maxHeaderBytes = 10_000;

const descriptors: Readonly<Record<ElementType, string>> = {
  float32: '<f4',
  float64: '<f8',
  float16: '<f2',
  int64: '<i8',
  int32: '<i4',
  bool: '|b1',
  uint8: '|u1',
  int8: '|i1',
};
const dtypes = new Map(elementTypes.map((dtype) => [descriptors[dtype], dtype]));

/**
 * All that precedes the elements of an array, row-major and little-endian, in version 1.0: a file is this and the bytes
 * of its rows, which may be written one after the other.
 */
export function npyHeader(dtype: ElementType, shape: readonly number[]): Uint8Array {
  // A tuple of one needs its comma.
  const tuple = shape.length === 1 ? `(${shape[0]},)` : `(${shape.join(', ')})`;
  const text = `{'descr': '${descriptors[dtype]}', 'fortran_order': False, 'shape': ${tuple}, }`;
  const size = Math.ceil((magic.length + 4 + text.length + 1) / alignment) * alignment;
  const header = Buffer.alloc(size, ' ');
  header.set(magic);
  header.writeUInt8(1, 6);
  header.writeUInt8(0, 7);
  header.writeUInt16LE(size - 10, 8);
  header.write(text, 10, 'latin1');
  header.write('\n', size - 1);
  return new Uint8Array(header);
}

/** The bytes of a `.npy` file. Throws a SlimclrError for data that is not of the type and shape. */
export function encodeNpy({ dtype, shape, data }: TensorData): Uint8Array {
  if (!(data instanceof elementFormats[dtype].array) || data.length !== elementCount(shape)) {
    throw new SlimclrError(
      `the array is ${formatType({ dtype, shape })}, but its data is ${data.constructor.name} of ${data.length} elements`,
    );
  }
  const header = npyHeader(dtype, shape);
  const bytes = new Uint8Array(header.length + data.byteLength);
  bytes.set(header);
  bytes.set(bytesOf(data), header.length);
  return bytes;
}

/**
 * The array of a `.npy` file of version 1 to 3. Throws a SlimclrError, prefixed with `source`, for another file, a torn
 * one, and for what a tensor of ours cannot hold: Python objects, records, strings, big-endian numbers, Fortran's order.
 */
export function decodeNpy(bytes: Uint8Array, source = 'array'): TensorData {
  const refuse = (fault: string) => new SlimclrError(`${source}: ${fault}`);
  if (bytes.length < 12 || magic.some((byte, i) => bytes[i] !== byte)) throw refuse('not a .npy file');
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const version = bytes[6]!;
  if (version < 1 || version > 3) throw refuse(`.npy version ${version}; accepted: 1, 2, 3`);
  const start = version === 1 ? 10 : 12;
  const length = version === 1 ? view.getUint16(8, true) : view.getUint32(8, true);
  if (length > Math.min(maxHeaderBytes, bytes.length - start)) {
    throw refuse(
      `its header should have ${length} bytes, the file has ${bytes.length}; truncated or foreign`,
    );
  }
  const { descr, fortran, shape } = parseHeader(
    Buffer.from(bytes.subarray(start, start + length)).toString(),
    refuse,
  );
  const dtype = dtypes.get(descr);
  if (!dtype) throw refuse(`elements of type '${descr}'; accepted: ${[...dtypes.keys()].join(', ')}`);
  if (fortran && shape.length > 1)
    throw refuse("in Fortran's order; accepted: C's, as numpy.ascontiguousarray");
  const elements = bytes.subarray(start + length);
  const expected = byteLength({ dtype, shape });
  if (elements.length !== expected) {
    throw refuse(`${elements.length} bytes of elements; ${formatType({ dtype, shape })} takes ${expected}`);
  }
  return { dtype, shape, data: valuesOf(dtype, elements) };
}

/** Errors are those of `decodeNpy`. */
export async function readNpy(path: string): Promise<TensorData> {
  return decodeNpy(await readPlainFile(path), path);
}

const headerPattern = /^\{\s*((?:'\w+'\s*:\s*(?:'[^']*'|True|False|\([\d,\s]*\))\s*(?:,\s*|(?=\})))*)\}\s*$/;
const entryPattern = /'(\w+)'\s*:\s*(?:'([^']*)'|(True|False)|\(([\d,\s]*)\))/g;

function parseHeader(text: string, refuse: (fault: string) => SlimclrError) {
  const entries = headerPattern.exec(text)?.[1];
  let descr: string | undefined;
  let fortran: boolean | undefined;
  let shape: number[] | undefined;
  for (const [, key, string, truth, tuple] of (entries ?? '').matchAll(entryPattern)) {
    if (key === 'descr') descr = string;
    else if (key === 'fortran_order' && truth !== undefined) fortran = truth === 'True';
    else if (key === 'shape')
      shape = tuple
        ?.split(',')
        .map((part) => part.trim())
        .filter(Boolean)
        .map(Number);
  }
  if (descr === undefined || fortran === undefined || !shape?.every(Number.isSafeInteger)) {
    const shown = JSON.stringify(text.trim().slice(0, 80));
    throw refuse(`its header is ${shown}; accepted: descr of plain numbers, fortran_order and shape`);
  }
  return { descr, fortran, shape };
}
