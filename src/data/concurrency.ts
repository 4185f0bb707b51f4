/**
 * Images read at the same time by one thread: files, and what sharp decodes, in libuv's threads, of which there are four
 * by default, and large photographs take tens of megabytes each.
 */
export const decodeLanes = 4;

/** Run `task` for 0 .. count - 1, at most `lanes` at a time, started in order. */
export async function forEachConcurrently(
  count: number,
  lanes: number,
  task: (index: number) => Promise<void>,
): Promise<void> {
  let next = 0;
  const lane = async () => {
    while (next < count) await task(next++);
  };
  await Promise.all(Array.from({ length: Math.min(lanes, count) }, lane));
}
