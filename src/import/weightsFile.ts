import type { FileHandle } from 'node:fs/promises';
import { SlimclrError, UsageError } from '../errors.js';
import { sha256File } from '../onnx/hash.js';
import { readSafetensors } from '../onnx/safetensors.js';
import { isAbsent, openPlainFile } from '../plainFile.js';
import { printable } from '../printable.js';
import { Archive } from './archive.js';
import { chosenDictionary } from './stateDictionary.js';
import { dtypeBytes, floatsFrom, viewed } from './tensorValues.js';
import type { TorchTensor } from './torchPickle.js';
import { readTorchPickle } from './torchPickle.js';

/** A tensor of a file, read when asked for. */
export interface FileTensor {
  readonly dtype: string;
  readonly shape: readonly number[];
  /** Its elements as float32, row-major. Throws a SlimclrError for a type that is not floating-point. */
  read(): Promise<Float32Array>;
}

/** Weights of somebody else's file, by the names that they have there. */
export interface WeightsFile {
  readonly path: string;
  /** Of the file, hexadecimal. */
  readonly sha256: string;
  readonly tensors: ReadonlyMap<string, FileTensor>;
  /** Of a safetensors file; empty for others. */
  readonly metadata: Readonly<Record<string, string>>;
}

const accepted = 'accepted: safetensors, or the zip of torch.save (PyTorch 1.6 or newer)';
/** The first bytes of what torch.save wrote before: the pickle of a magic number. */
const legacyMagic = Buffer.from([0x8a, 0x0a, 0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19]);

/**
 * Opens a file of weights for as long as `work` takes. `key`: which of the dictionaries of a checkpoint. Throws a
 * SlimclrError, one line with the path in front, for what is no such file; nothing in it is executed.
 */
export async function withWeights<T>(
  path: string,
  key: string | undefined,
  work: (weights: WeightsFile) => Promise<T>,
): Promise<T> {
  let file: FileHandle;
  try {
    file = await openPlainFile(path);
  } catch (cause) {
    if (isAbsent(cause)) throw new UsageError(`${path}: no such file; ${accepted}`, { cause });
    throw cause;
  }
  try {
    const start = Buffer.alloc(16);
    await file.read(start, 0, start.length, 0);
    const rest =
      start.readUInt32LE(0) === 0x04034b50
        ? await torchTensors(path, file, key)
        : await plain(path, start, key);
    return await work({ path, sha256: await sha256File(path), ...rest });
  } finally {
    await file.close();
  }
}

async function torchTensors(
  path: string,
  file: FileHandle,
  key: string | undefined,
): Promise<Pick<WeightsFile, 'tensors' | 'metadata'>> {
  try {
    const archive = await Archive.open(file);
    const { root } = archive;
    if (archive.has(`${root}/byteorder`)) {
      const order = (await archive.read(`${root}/byteorder`)).toString('latin1');
      if (order !== 'little') throw new SlimclrError('its numbers are big-endian; accepted: little-endian');
    }
    const storages = new Map<string, Promise<Float32Array>>();
    const read = (tensor: TorchTensor) => {
      const { storage } = tensor;
      const name = `${root}/data/${storage.key}`;
      const id = `${storage.dtype} ${storage.key}`;
      let values = storages.get(id);
      if (!values) {
        values = archive.read(name).then((bytes) => {
          const size = storage.length * dtypeBytes[storage.dtype];
          if (bytes.length !== size) {
            throw new SlimclrError(
              `member ${printable(name)} has ${bytes.length} bytes, and its storage ${size}`,
            );
          }
          return floatsFrom(storage.dtype, bytes.buffer);
        });
        storages.set(id, values);
      }
      return values.then((all) => viewed(all, tensor));
    };
    const dictionary = chosenDictionary(readTorchPickle(await archive.read(`${root}/data.pkl`)), key);
    const tensors = new Map<string, FileTensor>();
    for (const [name, tensor] of dictionary) {
      const { storage, shape } = tensor;
      tensors.set(name, { dtype: storage.dtype, shape, read: () => read(tensor).catch(rethrown(path)) });
    }
    return { tensors, metadata: {} };
  } catch (cause) {
    return rethrown(path)(cause);
  }
}

/** Throws an error with the path of the file in front. */
function rethrown(path: string): (cause: unknown) => never {
  return (cause) => {
    if (!(cause instanceof SlimclrError)) throw cause;
    const Kind = cause instanceof UsageError ? UsageError : SlimclrError;
    throw new Kind(`${path}: ${cause.message}`, { cause });
  };
}

/** Whatever is no zip. */
async function plain(path: string, start: Buffer, key: string | undefined) {
  if (start.subarray(2, 14).equals(legacyMagic)) {
    throw new SlimclrError(
      `${path}: the format of torch.save before PyTorch 1.6, which is not read; ${accepted}, which ` +
        '`torch.save(torch.load(OLD, weights_only=True), NEW)` makes of it',
    );
  }
  if (start[0] === 0x80 && start[1]! >= 2 && start[1]! <= 5) {
    throw new SlimclrError(`${path}: a pickle, which is not executed; ${accepted}`);
  }
  if (key !== undefined) {
    throw new UsageError(`--key ${key}: ${path} is no checkpoint of PyTorch, and has one list of tensors`);
  }
  const { tensors, metadata } = await readSafetensors(path).catch((cause: Error) => {
    throw new SlimclrError(`${cause.message}; ${accepted}`, { cause });
  });
  const read = new Map(
    [...tensors].map(([name, { dtype, shape, data }]): [string, FileTensor] => [
      name,
      {
        dtype,
        shape,
        read: () =>
          new Promise<Float32Array>((resolve) => {
            resolve(floatsFrom(dtype, data.buffer as ArrayBuffer));
          }).catch(rethrown(path)),
      },
    ]),
  );
  return { tensors: read, metadata };
}
