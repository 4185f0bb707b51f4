import { LostEngineError, SlimclrError, UsageError } from '../errors.js';
import { DivergenceError } from './steps/step.js';

/** What remains of an error on its way between processes or threads, which knows no classes. */
export interface SentError {
  readonly name: string;
  readonly message: string;
  readonly stack: string | undefined;
  /** Of an error that a person is meant to read. */
  readonly exitCode: number | undefined;
  /** Of an error of the operating system. */
  readonly syscall: string | undefined;
}

export function sent({ name, message, stack, exitCode, syscall }: Error & Partial<SentError>): SentError {
  return { name, message, stack, exitCode, syscall };
}

/** The error as it was before it was sent. */
export function revived({ name, message, stack, exitCode, syscall }: SentError): Error {
  const known = [DivergenceError, LostEngineError, UsageError].find((type) => type.name === name);
  const Type = known ?? (exitCode === undefined ? Error : SlimclrError);
  return Object.assign(new Type(message), { name, stack, ...(syscall !== undefined && { syscall }) });
}
