import { SlimclrError, UsageError } from '../errors.js';
import { printable } from '../printable.js';
import { TorchTensor } from './torchPickle.js';

/** What checkpoints call the dictionary of the model, those first that are taken before others. */
const usual = ['state_dict', 'model', 'model_state_dict', 'model_state', 'net', 'network', 'encoder'];

/**
 * The dictionary of tensors in what a checkpoint holds: itself, or one of its entries, `key` or by its usual name.
 * Values that are no tensors are left out. Throws a SlimclrError where there is none, a UsageError where more than one
 * may be meant or `key` is none.
 */
export function chosenDictionary(content: unknown, key: string | undefined): Map<string, TorchTensor> {
  if (!(content instanceof Map)) throw none('no dictionary');
  const candidates = new Map<string, Map<string, TorchTensor>>();
  for (const [name, value] of content as Map<unknown, unknown>) {
    const tensors = tensorsOf(value);
    if (typeof name === 'string' && tensors.size > 0) candidates.set(name, tensors);
  }
  const names = [...candidates.keys()];
  const shown = names.length > 0 ? names.map(printable).join(', ') : 'none';
  if (key !== undefined) {
    const chosen = candidates.get(key);
    if (!chosen) throw new UsageError(`--key ${key} is no dictionary of tensors there; accepted: ${shown}`);
    return chosen;
  }
  // First: a tensor beside them, such as the best accuracy, makes no state_dict.
  const name = names.length === 1 ? names[0] : usual.find((other) => candidates.has(other));
  if (name !== undefined) return candidates.get(name)!;
  if (names.length > 1) {
    throw new UsageError(`several dictionaries of tensors; accepted: one of them by --key: ${shown}`);
  }
  const own = tensorsOf(content);
  if (own.size > 0) return own;
  const keys = [...(content as Map<unknown, unknown>).keys()].filter((name) => typeof name === 'string');
  throw none(`no dictionary of tensors; its keys: ${keys.slice(0, 8).map(printable).join(', ')}`);
}

function tensorsOf(value: unknown): Map<string, TorchTensor> {
  const tensors = new Map<string, TorchTensor>();
  if (!(value instanceof Map)) return tensors;
  for (const [name, tensor] of value as Map<unknown, unknown>) {
    if (typeof name === 'string' && tensor instanceof TorchTensor) tensors.set(name, tensor);
  }
  return tensors;
}

function none(what: string): SlimclrError {
  return new SlimclrError(`it holds ${what}; accepted: a state_dict, or a checkpoint that has one`);
}
