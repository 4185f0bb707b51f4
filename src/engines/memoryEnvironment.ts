/**
 * What glibc's malloc is told: one heap for all threads, for blocks of every size, that never shrinks. Without
 * caches of small blocks, because what is cached does not merge with its neighbours: a block that was cut to
 * 64-byte alignment would come back a little too small for the next request of its size. In huge pages, where the
 * system gives them to those who ask: a pass over a map of megabytes waits less for the addresses of pages.
 */
const tunables = {
  arena_max: 1,
  mmap_max: 0,
  trim_threshold: 2 ** 40,
  tcache_count: 0,
  mxfast: 0,
  hugetlb: 1,
} as const;

/**
 * What Node.js is told: reading and preparing the graphs makes many objects for a moment, for which V8 would let its young
 * generation grow to 48 MiB and keep them. MiB of a third of it.
 */
const smallHeap = '--max-semi-space-size=1';

/**
 * Environment for a process in which many sessions run in turns: what one of them frees, the next one gets.
 * With an arena each, every session would keep its own peak and the process hold the sum of all; with malloc's
 * defaults large blocks would go back to the system after each use and be faulted in again, page by page. glibc
 * reads the variable when a process starts; where there is another malloc it has no effect.
 */
export const memoryEnvironment = {
  GLIBC_TUNABLES: Object.entries(tunables)
    .map(([name, value]) => `glibc.malloc.${name}=${value}`)
    .join(':'),
  NODE_OPTIONS: [process.env.NODE_OPTIONS ?? '', smallHeap].join(' ').trim(),
} as const;

/** Whether this process was started in the `memoryEnvironment`. */
export function sharesFreedMemory(): boolean {
  return process.platform === 'linux' && process.env.GLIBC_TUNABLES === memoryEnvironment.GLIBC_TUNABLES;
}
