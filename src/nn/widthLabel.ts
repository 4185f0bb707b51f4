/** `w1.00`, `w0.25`, `w0.125`: how a width is written in file, graph and parameter names. */
export function widthLabel(width: number): string {
  const short = width.toFixed(2);
  return `w${Number(short) === width ? short : String(width)}`;
}
