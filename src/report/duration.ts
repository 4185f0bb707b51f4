/** Seconds as `1 h 02 min`, `3 min 20 s` or `12 s`. */
export function formatDuration(seconds: number): string {
  const total = Math.round(seconds);
  const two = (n: number) => String(n).padStart(2, '0');
  if (total >= 3600) return `${Math.floor(total / 3600)} h ${two(Math.floor(total / 60) % 60)} min`;
  if (total >= 60) return `${Math.floor(total / 60)} min ${two(total % 60)} s`;
  return `${total} s`;
}
