/**
 * Errors a person is meant to read. The message is one line: what, which value, what is accepted.
 * Anything else that escapes is a defect of this package and keeps its stack trace.
 */
export class SlimclrError extends Error {
  override name = 'SlimclrError';
  /** Exit code of the command line: 1 for a job that failed. */
  readonly exitCode: number = 1;
}

/** Wrong usage: an unknown option, a value out of range, a contradiction in a config. Exit code 2. */
export class UsageError extends SlimclrError {
  override name = 'UsageError';
  override readonly exitCode = 2;
}

/** What another process of the same command says already: nothing is to be printed. */
export class SaidElsewhere extends SlimclrError {
  override name = 'SaidElsewhere';
}

/**
 * What ran the graphs is gone, with the state that it held: a worker that has ended, a device that is lost, a rank that
 * does not come.
 */
export class LostEngineError extends SlimclrError {
  override name = 'LostEngineError';
}

/** The message of an error of somebody else, such as a parser that quotes what it reads, in one line. */
export function oneLine({ message }: Pick<Error, 'message'>): string {
  return message.replace(/\s*\n\s*/g, ' ');
}

/** First line of the message of what the system or a decoder has thrown. */
export function reasonOf(error: unknown): string {
  const message = error instanceof Error ? error.message : String(error);
  return message.split('\n', 1)[0]!.trim();
}
