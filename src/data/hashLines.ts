import { createHash } from 'node:crypto';

/** SHA-256, hexadecimal, of lines. */
export function hashLines(lines: readonly string[]): string {
  const hash = createHash('sha256');
  for (const line of lines) hash.update(`${line}\n`);
  return hash.digest('hex');
}
