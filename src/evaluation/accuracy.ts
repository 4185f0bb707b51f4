import { requireFiniteRows, type Origin } from './finite.js';
import type { Accuracy } from './results.js';

/** Counts how often the right class is the first, and among the first five, by its score. */
export class AccuracyCounter {
  #count = 0;
  #first = 0;
  #amongFive = 0;

  /** `what` the scores are and where they come from, for the message about one that is not finite. */
  constructor(
    private readonly what = 'scores',
    private readonly origin?: Origin,
  ) {}

  /**
   * Scores of one image by class; `image` is its index, for messages. Among equal scores the class of lower index goes
   * first. Throws a SlimclrError for scores that are not finite.
   */
  add(scores: ArrayLike<number>, label: number, image = this.#count): void {
    requireFiniteRows(scores, scores.length, this.what, this.origin, () => image);
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
