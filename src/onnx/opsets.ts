import { SlimclrError } from '../errors.js';

/** Versions of the standard operator set that models are written for; in the oldest Conv has the form it has today. */
export const opsets = { oldest: 11, newest: 21 } as const;

/** The IR version that ONNX released with a version of the standard operator set. */
export function irVersionFor(opset: number): number {
  const since: readonly (readonly [irVersion: number, opset: number])[] = [[10, 21], [9, 19], [8, 15], [7, 12], [6, 11]]; // prettier-ignore
  const [version] = since.find(([, first]) => opset >= first) ?? [];
  if (version !== undefined && opset <= opsets.newest && Number.isInteger(opset)) return version;
  throw new SlimclrError(`opset ${opset} is not supported; accepted: ${opsets.oldest} to ${opsets.newest}`);
}
