import { createHash } from 'node:crypto';

/** SHA-256, hexadecimal, of lines; of a million of them no list needs to be made. */
export function hashLines(lines: Iterable<string>): string {
  const hash = createHash('sha256');
  for (const line of lines) hash.update(`${line}\n`);
  return hash.digest('hex');
}
