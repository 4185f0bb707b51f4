import { oneLine, UsageError } from '../errors.js';

/** Why a JSON file that a person wrote is not used, in one line; `file` begins with what it is. */
export function unreadableJson(file: string, cause: unknown): UsageError {
  const reason = cause instanceof SyntaxError ? 'is not JSON' : 'cannot be read';
  return new UsageError(`${file} ${reason} (${oneLine(cause as Error)})`, { cause });
}

/**
 * The text of a file that a person wrote: UTF-8, or UTF-16 where a byte order mark says so; without the mark. `fatal`: throws
 * for bytes that are none, in place of U+FFFD for them.
 */
export function decodeText(bytes: Uint8Array, { fatal = false } = {}): string {
  const encoding =
    bytes[0] === 0xff && bytes[1] === 0xfe
      ? 'utf-16le'
      : bytes[0] === 0xfe && bytes[1] === 0xff
        ? 'utf-16be'
        : 'utf-8';
  return new TextDecoder(encoding, { fatal }).decode(bytes);
}
