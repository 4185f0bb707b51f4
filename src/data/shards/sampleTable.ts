import { NumberList } from '../numberList.js';
import { StringNumbers } from '../stringNumbers.js';

/** Where the class of a sample is from. */
const source = { nothing: 0, json: 1, cls: 2 };

/** The samples of a shard by their keys: whether each has an image, and which class. Not one object a sample. */
export class SampleTable {
  readonly #keys = new StringNumbers();
  /** Of each sample: the format of its image, -1 without one; its class, -1 without one, and where that is from. */
  readonly #formats = new NumberList(Int8Array);
  readonly #labels = new NumberList(Int32Array);
  readonly #sources = new NumberList(Int8Array);
  readonly #labelNumbers = new Map<string, number>();
  #unusedJson = 0;

  /** The number of a key's sample, a new one if need be. */
  sample(key: string): number {
    const sample = this.#keys.numberOf(key);
    if (sample === this.#formats.length) {
      this.#formats.push(-1);
      this.#labels.push(-1);
      this.#sources.push(source.nothing);
    }
    return sample;
  }

  /** The format of the sample's image that was there before; null when this is the first. */
  addImage(sample: number, format: number): number | null {
    const before = this.#formats.at(sample);
    if (before >= 0) return before;
    this.#formats.set(sample, format);
    return null;
  }

  /** Files of a sample that may hold its class: .cls before .json, the first of each. False for a .cls that does not. */
  addClass(sample: number, kind: 'cls' | 'json', content: () => string | null): boolean {
    const isBetter = source[kind] > this.#sources.at(sample);
    const label = isBetter ? labelIn(kind, content()) : null;
    if (label === null) {
      if (kind === 'json') this.#unusedJson++;
      return kind === 'json';
    }
    if (this.#sources.at(sample) === source.json) this.#unusedJson++;
    this.#sources.set(sample, source[kind]);
    this.#labels.set(sample, label === noClass ? -1 : this.#labelNumber(label));
    return true;
  }

  #labelNumber(label: string): number {
    const known = this.#labelNumbers.get(label);
    if (known !== undefined) return known;
    this.#labelNumbers.set(label, this.#labelNumbers.size);
    return this.#labelNumbers.size - 1;
  }

  /** Index into `labelNames`, or -1. */
  labelOf(sample: number): number {
    return this.#labels.at(sample);
  }

  /** In the order in which they came. */
  get labelNames(): string[] {
    return [...this.#labelNumbers.keys()];
  }

  /** Files .json that no class was taken from. */
  get unusedJson(): number {
    return this.#unusedJson;
  }

  /** Samples that have none. */
  *withoutImage(): Generator<number, void, undefined> {
    for (let sample = 0; sample < this.#formats.length; sample++) {
      if (this.#formats.at(sample) < 0) yield sample;
    }
  }

  keyOf(sample: number): string {
    return this.#keys.at(sample);
  }
}

/** What a file tells that says that the image has no class. */
const noClass = '';

/**
 * The class that a file tells: the text of .cls; of .json the member `label`, else `class`, a number or a text. A number
 * below 0 is none. Null where the file tells nothing.
 */
function labelIn(kind: 'cls' | 'json', content: string | null): string | null {
  const text = content === null ? null : kind === 'cls' ? content : labelOfJson(content);
  const label = text?.trim() || null;
  return label !== null && /^-\d+$/.test(label) ? noClass : label;
}

function labelOfJson(content: string): string | null {
  try {
    const { label, class: name } = JSON.parse(content) as { label?: unknown; class?: unknown };
    const found = label ?? name;
    return typeof found === 'string' || typeof found === 'number' ? String(found) : null;
  } catch {
    return null;
  }
}
