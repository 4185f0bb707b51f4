import type { Accuracy } from './results.js';

/** Counts how often the right class is the first, and among the first five, by its score. */
export class AccuracyCounter {
  #count = 0;
  #first = 0;
  #amongFive = 0;

  /** Scores of one image by class. Among equal scores the class of lower index goes first. */
  add(scores: ArrayLike<number>, label: number): void {
    const own = scores[label]!;
    let rank = 0;
    for (let c = 0; c < scores.length; c++) {
      if (scores[c]! > own || (scores[c]! === own && c < label)) rank++;
    }
    this.#count++;
    if (rank < 1) this.#first++;
    if (rank < 5) this.#amongFive++;
  }

  get accuracy(): Accuracy {
    return { top1: this.#first / this.#count, top5: this.#amongFive / this.#count };
  }
}
