import { SlimclrError } from '../errors.js';
import { shownName, Tuple, unpickle } from './pickle.js';

/** Element types of storages. */
export type TorchDtype =
  'float32' | 'float64' | 'float16' | 'bfloat16' | 'int64' | 'int32' | 'int16' | 'int8' | 'uint8' | 'bool';

/** Memory of tensors, a member of the archive. */
class Storage {
  constructor(
    readonly dtype: TorchDtype,
    readonly key: string,
    /** Elements. */
    readonly length: number,
  ) {}
}

/** A tensor: a view of a storage. Offset and strides count elements. */
export class TorchTensor {
  constructor(
    readonly storage: Storage,
    readonly offset: number,
    readonly shape: readonly number[],
    readonly strides: readonly number[],
  ) {}
}

/** A name that stands for itself. */
class Global {
  constructor(readonly name: string) {}
}

const storageTypes: Readonly<Record<string, TorchDtype>> = {
  'torch.FloatStorage': 'float32',
  'torch.DoubleStorage': 'float64',
  'torch.HalfStorage': 'float16',
  'torch.BFloat16Storage': 'bfloat16',
  'torch.LongStorage': 'int64',
  'torch.IntStorage': 'int32',
  'torch.ShortStorage': 'int16',
  'torch.CharStorage': 'int8',
  'torch.ByteStorage': 'uint8',
  'torch.BoolStorage': 'bool',
};

/** What may be called, and what that gives. Not on the list: anything else. */
const calls: Readonly<Record<string, (args: readonly unknown[]) => unknown>> = {
  'collections.OrderedDict': (args) => (args.length === 0 ? new Map() : invalid('collections.OrderedDict')),
  'collections.Counter': ([counts]) => (counts instanceof Map ? counts : invalid('collections.Counter')),
  'torch.Size': ([sizes]) => (sizes instanceof Tuple ? sizes : invalid('torch.Size')),
  'torch.device': ([name]) => name,
  'torch._utils._rebuild_tensor_v2': rebuiltTensor,
  'torch._utils._rebuild_parameter': ([tensor]) =>
    tensor instanceof TorchTensor ? tensor : invalid('torch._utils._rebuild_parameter'),
};

/** The value of a checkpoint's pickle, as torch.save writes it. Throws a SlimclrError, one line; nothing is executed. */
export function readTorchPickle(bytes: Uint8Array): unknown {
  return unpickle(bytes, { global, call, persistent });
}

function global(module: string, name: string): Global {
  const full = `${module}.${name}`;
  if (Object.hasOwn(storageTypes, full) || Object.hasOwn(calls, full)) return new Global(full);
  throw new SlimclrError(
    `the pickle names ${shownName(module, name)}, and nothing in it is executed; accepted: tensors, numbers, texts, ` +
      'lists and dictionaries, such as `torch.save(model.state_dict(), FILE)` writes them',
  );
}

function call(callable: unknown, args: readonly unknown[]): unknown {
  const rebuild = callable instanceof Global ? calls[callable.name] : undefined;
  if (!rebuild) throw new SlimclrError('the pickle calls what is no function of the list');
  return rebuild(args);
}

/** `('storage', type, key, location, elements)` */
function persistent(id: unknown): Storage {
  if (!(id instanceof Tuple)) return invalid('a storage');
  const [kind, type, key, , length] = id.items;
  const dtype = type instanceof Global ? storageTypes[type.name] : undefined;
  if (kind !== 'storage' || !dtype || typeof key !== 'string' || !isCount(length))
    return invalid('a storage');
  return new Storage(dtype, key, length);
}

/** `(storage, offset, sizes, strides, ...)` */
function rebuiltTensor([storage, offset, sizes, steps]: readonly unknown[]): TorchTensor {
  const name = 'torch._utils._rebuild_tensor_v2';
  const shape = countsOf(sizes) ?? invalid(name);
  const strides = countsOf(steps) ?? invalid(name);
  if (!(storage instanceof Storage) || !isCount(offset) || strides.length !== shape.length)
    return invalid(name);
  const last = shape.reduce((sum, size, axis) => sum + (size - 1) * strides[axis]!, offset);
  if (!shape.includes(0) && last >= storage.length) {
    throw new SlimclrError(
      `a tensor of shape [${shape.join(', ')}] reaches beyond the ${storage.length} elements of its storage`,
    );
  }
  return new TorchTensor(storage, offset, shape, strides);
}

function countsOf(value: unknown): readonly number[] | null {
  return value instanceof Tuple && value.items.every(isCount) ? value.items : null;
}

function isCount(value: unknown): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0;
}

function invalid(what: string): never {
  throw new SlimclrError(`the pickle has ${what} of a form that torch.save does not write`);
}
