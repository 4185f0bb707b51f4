import type { Random } from '../../src/random.js';

/** Ways to draw the elements of a test tensor. */

export function normal(random: Random, count: number): number[] {
  return Array.from({ length: count }, () => random.normal());
}

/** In [0.5, 2): for logarithms, roots and denominators. */
export function positive(random: Random, count: number): number[] {
  return Array.from({ length: count }, () => random.uniform(0.5, 2));
}

/** Signs alternate, the size is at least 0.5: for functions with a kink or a pole at 0. */
export function awayFromZero(random: Random, count: number): number[] {
  return positive(random, count).map((x, i) => (i % 2 === 0 ? x : -x));
}

/** No two elements closer than 1: a maximum stays the maximum under small steps. */
export function distinct(random: Random, count: number): number[] {
  return Array.from(random.permutation(count), (rank) => rank - count / 2);
}
