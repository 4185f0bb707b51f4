/** What a stream says of the terminal that it writes to. */
export interface TerminalStream {
  readonly isTTY?: boolean;
  /** Some terminals, such as those of containers, do not say how wide they are: 0 or nothing. */
  readonly columns?: number;
}

/** Columns of the terminal that a stream writes to; null where there is none of at least so many, or it does not say. */
export function terminalColumns({ isTTY, columns = 0 }: TerminalStream, least: number): number | null {
  return isTTY && columns >= least ? columns : null;
}
