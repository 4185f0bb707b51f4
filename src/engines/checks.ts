import { SlimclrError } from '../errors.js';
import { elementCount } from '../onnx/model.js';
import type { LoadedGraph, Memory, Place, Places } from './engine.js';

/*
 * What engines refuse alike, in the same words.
 */

/** Throws a SlimclrError where a memory is freed or has no such elements. */
export function refuseOutside(
  { type, count: all, freed }: Memory & { readonly freed: boolean },
  offset: number,
  count: number,
): void {
  if (freed) throw new SlimclrError(`${type}[${all}] is freed`);
  const isInside =
    Number.isInteger(offset) && Number.isInteger(count) && offset >= 0 && count >= 0 && offset + count <= all;
  if (isInside) return;
  throw new SlimclrError(`elements ${offset} to ${offset + count}; accepted: of ${type}[${all}]`);
}

/** Throws a SlimclrError where a place is missing for an input that a graph cannot do without. */
export function refuseMissing(
  { name }: Pick<LoadedGraph, 'name'>,
  required: readonly string[],
  places: Places,
): void {
  const missing = required.find((input) => !(input in places));
  if (missing === undefined) return;
  throw new SlimclrError(
    `${name}: no place for "${missing}"; accepted: one for each of ${required.join(', ')}`,
  );
}

/** Elements that are copied from one place to another; throws a SlimclrError where the other has not as many. */
export function copiedCount(from: Place, to: Place): number {
  const [count, room] = [elementCount(from.shape), elementCount(to.shape)];
  if (count === room) return count;
  throw new SlimclrError(
    `${count} elements cannot be copied to a place of ${room}; accepted: one of ${count}`,
  );
}

/** The error of a memory that an engine does not know. */
export function notOwn({ type, count }: Memory): SlimclrError {
  return new SlimclrError(`${type}[${count}]: not a memory of this engine, or freed`);
}
