import { SlimclrError } from './errors.js';

/** Who is told what a person should know and what ends nothing. */
export interface Notices {
  /** Told one line at a time. */
  readonly onNotice?: (line: string) => void;
}

/**
 * Writes a record of work that is done: where that fails because the folder is read-only, the disk full or a name
 * taken, a notice says so and the work is not lost. `what` names the file. Returns whether it was written.
 */
export async function keep(
  what: string,
  write: () => Promise<void>,
  { onNotice }: Notices,
): Promise<boolean> {
  try {
    await write();
    return true;
  } catch (error) {
    if (!isRefusal(error)) throw error;
    onNotice?.(`${what} not written: ${error.message}`);
    return false;
  }
}

/** What the operating system or a rule of ours refuses, as opposed to a defect. */
export function isRefusal(error: unknown): error is Error {
  return error instanceof SlimclrError || (error instanceof Error && 'syscall' in error);
}
