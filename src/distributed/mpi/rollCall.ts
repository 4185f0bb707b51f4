import { LostEngineError } from '../../errors.js';

/** What two ranks tell each other beside the meetings of all. */
export type Word = 'late' | 'call' | 'here' | 'busy';

/** Sends and receives words, each with the number of a meeting and the rank that it is from. */
export interface Post {
  readonly rank: number;
  readonly size: number;
  tell(to: number, word: Word, meeting: number): void;
  /** The next that has come; null where none has. */
  told(word: Word): { readonly meeting: number; readonly from: number } | null;
}

/** Milliseconds in which a rank that is there answers. */
const answering = 3000;
/** Milliseconds without a word from rank 0 after which another rank takes it for lost; the next ones a while later. */
const [silence, next] = [6000, 2000];
/** Milliseconds between two looks of a rank that is busy. */
const glance = 500;

/**
 * The time limit of meetings. Whoever waits longer for the others than `limit` asks for a roll call: rank 0 calls all, and
 * those who do not answer that they wait as well are late. Where rank 0 is busy with what it alone does it says so, and
 * is waited for.
 */
export class RollCall {
  /** Milliseconds; none until it is set. */
  limit = Infinity;
  /** A rank for people. */
  nameOf = (rank: number): string => `rank ${rank}`;
  #meeting = 0;
  /** When this rank began to wait, and when it asked rank 0, or called. */
  #since = 0;
  #asked: number | null = null;
  readonly #present = new Set<number>();

  constructor(private readonly post: Post) {}

  /** This rank has come to a meeting. All come to the same ones in the same order. */
  begin(): void {
    this.#meeting += 1;
    this.#since = performance.now();
    this.#asked = null;
  }

  /** To be called again and again while it waits. Throws a LostEngineError where others do not come. */
  look(): void {
    if (performance.now() - this.#since < glance) return;
    if (this.post.rank === 0) this.#call();
    else this.#answer();
  }

  /** Takes what has come and nobody asks for any more: libraries warn of it at their end. */
  clear(): void {
    for (const word of ['late', 'call', 'here', 'busy'] as const) while (this.post.told(word));
  }

  /** What rank 0 does while the others wait for it, however long. */
  async whileBusy<T>(work: () => Promise<T>): Promise<T> {
    const { post } = this;
    const timer = setInterval(() => {
      for (let late = post.told('late'); late; late = post.told('late')) {
        post.tell(late.from, 'busy', late.meeting);
      }
    }, glance);
    try {
      return await work();
    } finally {
      clearInterval(timer);
    }
  }

  #answer(): void {
    const { post } = this;
    const now = performance.now();
    for (let call = post.told('call'); call; call = post.told('call')) post.tell(0, 'here', call.meeting);
    for (let busy = post.told('busy'); busy; busy = post.told('busy')) {
      if (busy.meeting !== this.#meeting) continue;
      this.#since = now;
      this.#asked = null;
    }
    if (now - this.#since <= this.limit) return;
    if (this.#asked === null) {
      this.#asked = now;
      post.tell(0, 'late', this.#meeting);
    } else if (now - this.#asked > silence + next * Math.min(post.rank - 1, 4)) {
      throw this.#lost([0]);
    }
  }

  #call(): void {
    const { post } = this;
    const now = performance.now();
    let isDue = now - this.#since > this.limit;
    for (let late = post.told('late'); late; late = post.told('late')) {
      if (late.meeting === this.#meeting) isDue = true;
    }
    if (isDue && this.#asked === null) {
      this.#asked = now;
      this.#present.clear();
      for (let rank = 1; rank < post.size; rank++) post.tell(rank, 'call', this.#meeting);
    }
    for (let here = post.told('here'); here; here = post.told('here')) {
      if (here.meeting === this.#meeting) this.#present.add(here.from);
    }
    if (this.#asked === null || now - this.#asked <= answering) return;
    const lost = Array.from({ length: post.size - 1 }, (_, i) => i + 1).filter((rank) => !this.#present.has(rank)); // prettier-ignore
    if (lost.length > 0) throw this.#lost(lost);
    // All are there: what they wait for is about to come.
    this.#since = now;
    this.#asked = null;
  }

  #lost(ranks: readonly number[]): LostEngineError {
    const seconds = Math.round(this.limit / 1000);
    const names = ranks.map((rank) => this.nameOf(rank)).join(', ');
    return new LostEngineError(
      `${names}: missing for ${seconds} s (runtime.stepTimeout), hanging or out of reach`,
    );
  }
}
