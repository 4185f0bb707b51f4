import { createWriteStream } from 'node:fs';
import type { FileHandle } from 'node:fs/promises';
import { pipeline } from 'node:stream/promises';
import { z } from 'zod';
import { SlimclrError } from '../errors.js';
import { openPlainFile } from '../plainFile.js';
import {
  byteLength,
  bytesOf,
  elementFormats,
  elementTypes,
  formatType,
  type ElementType,
  type TensorType,
  type TypedArray,
} from './tensorType.js';
import type { NamedType } from './model.js';

/**
 * The safetensors format (github.com/huggingface/safetensors): the length of the header as a 64-bit
 * little-endian integer, the header in JSON, then the tensors without gaps.
 */

/** Where a tensor lies in a file. */
export interface StoredTensor {
  readonly type: TensorType;
  /** In bytes from the start of the file, as ONNX external data counts. */
  readonly offset: number;
  readonly length: number;
}

export interface SafetensorsHeader {
  readonly metadata: Readonly<Record<string, string>>;
  /** In the order of their offsets. */
  readonly tensors: ReadonlyMap<string, StoredTensor>;
  /** Of the whole file, in bytes. */
  readonly size: number;
  /** Bytes before the tensor data. */
  readonly dataStart: number;
}

export interface TensorData {
  readonly dtype: ElementType;
  readonly shape: readonly number[];
  readonly data: TypedArray;
}

/** Tensor data starts at a multiple of this many bytes, so that a mapped file is aligned for any element. */
const alignment = 64;
/** Pieces in which files are written and read. */
const chunkBytes = 2 ** 26;
/** The bound of the reference implementation; a length beyond it is taken for a foreign file. */
const maxHeaderBytes = 100_000_000;
const metadataKey = '__metadata__';

/**
 * The layout of a file with these tensors in this order. `header` is all that precedes the tensor data.
 * Tensors follow each other without padding: put wide element types before narrow ones to keep all aligned.
 */
export function layoutSafetensors(
  entries: readonly NamedType[],
  metadata: Readonly<Record<string, string>> = {},
): SafetensorsHeader & { readonly header: Uint8Array } {
  // The members are joined by hand: an object would move names such as "0" to the front.
  const members: string[] = [];
  if (Object.keys(metadata).length > 0) members.push(`"${metadataKey}":${JSON.stringify(metadata)}`);
  const relative = new Map<string, StoredTensor>();
  let end = 0;
  for (const { name, type } of entries) {
    if (name === metadataKey)
      throw new SlimclrError(`tensor name ${metadataKey} is reserved in safetensors files`);
    if (relative.has(name)) throw new SlimclrError(`tensor ${name} occurs twice in one safetensors file`);
    const length = byteLength(type);
    relative.set(name, { type, offset: end, length });
    const entry = {
      dtype: elementFormats[type.dtype].safetensors,
      shape: type.shape,
      data_offsets: [end, end + length],
    };
    members.push(`${JSON.stringify(name)}:${JSON.stringify(entry)}`);
    end += length;
  }

  const json = Buffer.from(`{${members.join(',')}}`, 'utf8');
  const dataStart = Math.ceil((8 + json.length) / alignment) * alignment;
  const header = new Uint8Array(dataStart).fill(0x20);
  new DataView(header.buffer).setBigUint64(0, BigInt(dataStart - 8), true);
  header.set(json, 8);
  return { header, metadata, tensors: moved(relative, dataStart), size: dataStart + end, dataStart };
}

/** The bytes of a file, in pieces that are views of the tensors: nothing is copied. */
export function* encodeSafetensors(
  tensors: ReadonlyMap<string, TensorData>,
  metadata: Readonly<Record<string, string>> = {},
): Generator<Uint8Array, void, undefined> {
  const entries = [...tensors].map(([name, { dtype, shape, data }]): NamedType => {
    const type: TensorType = { dtype, shape };
    const { array } = elementFormats[dtype];
    if (!(data instanceof array) || data.byteLength !== byteLength(type)) {
      throw new SlimclrError(
        `tensor ${name} is ${formatType(type)}, but its data is ${data.constructor.name} of ${data.length} elements`,
      );
    }
    return { name, type };
  });
  yield layoutSafetensors(entries, metadata).header;
  for (const { data } of tensors.values()) {
    const bytes = bytesOf(data);
    for (let start = 0; start < bytes.length; start += chunkBytes)
      yield bytes.subarray(start, start + chunkBytes);
  }
}

/** Writes a file. The tensors must not change meanwhile, and a crash leaves a torn file. */
export async function writeSafetensors(
  path: string,
  tensors: ReadonlyMap<string, TensorData>,
  metadata: Readonly<Record<string, string>> = {},
): Promise<void> {
  await pipeline(encodeSafetensors(tensors, metadata), createWriteStream(path));
}

/**
 * Reads a whole file; each tensor gets memory of its own. `observe` is given all bytes of the file, in order. Throws a
 * SlimclrError that names the file and the fault.
 */
export async function readSafetensors(
  path: string,
  observe?: (bytes: Uint8Array) => void,
): Promise<{
  readonly metadata: Readonly<Record<string, string>>;
  readonly tensors: Map<string, TensorData>;
}> {
  return withFile(path, async (file) => {
    const header = await readHeader(file);
    observe?.(await readBytes(file, 0, header.dataStart));
    const tensors = new Map<string, TensorData>();
    for (const [name, { type, offset, length }] of header.tensors) {
      const bytes = await readBytes(file, offset, length);
      observe?.(bytes);
      const data = new elementFormats[type.dtype].array(bytes.buffer);
      tensors.set(name, { dtype: type.dtype, shape: type.shape as readonly number[], data });
    }
    return { metadata: header.metadata, tensors };
  });
}

/** Reads and validates the header only; the tensor data are not looked at beyond their size. */
export async function readSafetensorsHeader(path: string): Promise<SafetensorsHeader> {
  return withFile(path, readHeader);
}

async function withFile<T>(path: string, read: (file: FileHandle) => Promise<T>): Promise<T> {
  let file: FileHandle | undefined;
  try {
    file = await openPlainFile(path);
    return await read(file);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new SlimclrError(`cannot read ${path} as safetensors: ${reason}`, { cause: error });
  } finally {
    await file?.close();
  }
}

const fileDtypes = new Map(elementTypes.map((dtype) => [elementFormats[dtype].safetensors, dtype]));

const headerSchema = z.record(z.string(), z.unknown());
const metadataSchema = z.record(z.string(), z.string());
const natural = z.int().nonnegative();
const entrySchema = z.object({
  dtype: z.string(),
  shape: z.array(natural),
  data_offsets: z.tuple([natural, natural]),
});

async function readHeader(file: FileHandle): Promise<SafetensorsHeader> {
  const { size } = await file.stat();
  if (size < 8) throw new SlimclrError(`it has ${size} bytes, too few for a header`);
  const prefix = await readBytes(file, 0, 8);
  const headerBytes = Number(new DataView(prefix.buffer).getBigUint64(0, true));
  if (headerBytes > Math.min(size - 8, maxHeaderBytes)) {
    throw new SlimclrError(
      `its header should have ${headerBytes} bytes, the file has ${size}; truncated or foreign`,
    );
  }
  const dataStart = 8 + headerBytes;
  const { metadata, tensors } = parseHeader(await readBytes(file, 8, headerBytes));

  let end = 0;
  for (const [name, { type, offset, length }] of tensors) {
    if (length !== byteLength(type)) {
      throw new SlimclrError(
        `tensor ${name} has ${length} bytes, but ${formatType(type)} takes ${byteLength(type)}`,
      );
    }
    if (offset !== end) {
      const fault = offset < end ? 'overlaps the tensor before it' : 'leaves a hole before it';
      throw new SlimclrError(`tensor ${name} ${fault}: it starts at byte ${offset} of the data, not ${end}`);
    }
    end += length;
  }
  if (dataStart + end !== size) {
    const fault = size < dataStart + end ? 'truncated' : 'trailing bytes';
    throw new SlimclrError(`${fault}: its tensors end at byte ${dataStart + end}, the file at ${size}`);
  }
  return { metadata, tensors: moved(tensors, dataStart), size, dataStart };
}

/** Offsets in the result count from the start of the tensor data, as they do in the header. */
function parseHeader(bytes: Uint8Array): Pick<SafetensorsHeader, 'metadata' | 'tensors'> {
  let json: unknown;
  try {
    json = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  } catch (error) {
    throw new SlimclrError('its header is not JSON', { cause: error });
  }
  const header = headerSchema.safeParse(json);
  if (!header.success || Array.isArray(json)) throw new SlimclrError('its header is not a JSON object');
  const { [metadataKey]: rawMetadata = {}, ...rawTensors } = header.data;
  const metadata = metadataSchema.safeParse(rawMetadata);
  if (!metadata.success) throw new SlimclrError(`${metadataKey} in its header is not a map of strings`);

  const tensors = Object.entries(rawTensors).map(([name, raw]): [string, StoredTensor] => {
    const entry = entrySchema.safeParse(raw);
    if (!entry.success) throw new SlimclrError(`tensor ${name} has no valid dtype, shape and data_offsets`);
    const { shape, data_offsets: offsets } = entry.data;
    const dtype = fileDtypes.get(entry.data.dtype);
    if (!dtype) {
      throw new SlimclrError(
        `tensor ${name} has dtype ${entry.data.dtype}; accepted: ${[...fileDtypes.keys()].join(', ')}`,
      );
    }
    return [name, { type: { dtype, shape }, offset: offsets[0], length: offsets[1] - offsets[0] }];
  });
  // An empty tensor lies at the start of the tensor after it.
  tensors.sort(([, a], [, b]) => a.offset - b.offset || a.length - b.length);
  return { metadata: metadata.data, tensors: new Map(tensors) };
}

function moved(tensors: ReadonlyMap<string, StoredTensor>, by: number): Map<string, StoredTensor> {
  return new Map([...tensors].map(([name, tensor]) => [name, { ...tensor, offset: tensor.offset + by }]));
}

async function readBytes(file: FileHandle, offset: number, length: number): Promise<Uint8Array<ArrayBuffer>> {
  const bytes = new Uint8Array(length);
  for (let done = 0; done < length;) {
    const { bytesRead } = await file.read(bytes, done, Math.min(length - done, chunkBytes), offset + done);
    if (bytesRead === 0) throw new SlimclrError(`it ended at byte ${offset + done} while being read`);
    done += bytesRead;
  }
  return bytes;
}
