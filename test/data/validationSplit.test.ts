import { createHash } from 'node:crypto';
import { expect } from 'chai';
import { heldOutImages } from '../../src/data/validationSplit.js';
import { UsageError } from '../../src/errors.js';

/** Names of `count` images of each class, and their labels. */
function images(...counts: readonly number[]) {
  const names = counts.flatMap((count, c) => Array.from({ length: count }, (_, i) => `class${c}/${i}.jpg`));
  const labels = Int32Array.from(counts.flatMap((count, c) => Array.from({ length: count }, () => c)));
  return { names, labels };
}

function held(
  { names, labels }: { names: readonly string[]; labels: Int32Array | null },
  validation: number,
  seed = 0,
): string[] {
  const subject = { name: 'photos', length: names.length, nameOf: (i: number) => names[i]!, labels };
  return Array.from(heldOutImages(subject, validation, seed), (index) => names[index]!);
}

function byClass(names: readonly string[], classes: number): number[] {
  return Array.from(
    { length: classes },
    (_, c) => names.filter((name) => name.startsWith(`class${c}/`)).length,
  );
}

describe('heldOutImages', () => {
  it('a share: of every class its part, to the nearest image', () => {
    expect(byClass(held(images(200, 100, 40), 0.05), 3)).to.deep.equal([10, 5, 2]);
    const many = held(images(...Array<number>(100).fill(5)), 0.05);
    expect(many).to.have.length(25);
    expect(Math.max(...byClass(many, 100))).to.equal(1);
  });

  it('a number: that many, and one image of every class is left', () => {
    expect(byClass(held(images(60, 30, 10), 10), 3)).to.deep.equal([6, 3, 1]);
    expect(byClass(held(images(3, 1, 2), 3), 3)).to.deep.equal([2, 0, 1]);
  });

  it('the first of each class by the SHA-256 of seed and name', () => {
    const { names, labels } = images(40, 20);
    const rank = (name: string) => createHash('sha256').update(`7\0${name}`).digest('hex');
    const first = (c: number, count: number) =>
      names.filter((_, i) => labels[i] === c).sort((a, b) => (rank(a) < rank(b) ? -1 : 1)).slice(0, count); // prettier-ignore
    const expected = [...first(0, 4), ...first(1, 2)];
    expect(new Set(held({ names, labels }, 0.1, 7))).to.deep.equal(new Set(expected));
  });

  it('depends on the names and the seed, not on their order; names count as composed Unicode', () => {
    const { names, labels } = images(40, 20);
    const order = names.map((_, i) => (i * 7) % names.length);
    const shuffled = {
      names: order.map((i) => names[i]!),
      labels: Int32Array.from(order, (i) => labels[i]!),
    };
    const all = new Set(held({ names, labels }, 0.1));
    expect(new Set(held(shuffled, 0.1))).to.deep.equal(all);
    expect(new Set(held({ names, labels }, 0.1, 1))).to.not.deep.equal(all);
    const accents = ['é1', 'é2', 'é3', 'é4', 'é5'];
    const index = (list: readonly string[]) => list.indexOf(held({ names: list, labels: null }, 1)[0]!);
    expect(index(accents.map((name) => name.normalize('NFD')))).to.equal(index(accents));
  });

  it('more images are the old ones and others: 5 % is a part of 10 %, a new image replaces one at most', () => {
    const { names, labels } = images(100, 100);
    const small = held({ names, labels }, 0.05);
    expect(held({ names, labels }, 0.1)).to.include.members(small);
    const grown = { names: [...names, 'class1/new.jpg'], labels: Int32Array.from([...labels, 1]) };
    expect(small.filter((name) => !held(grown, 0.05).includes(name))).to.have.length.at.most(1);
  });

  it('images without a label are never held out where others have one', () => {
    const { names, labels } = images(20, 20);
    const partly = labels.map((label, i) => (i % 2 === 0 ? -1 : label));
    const chosen = held({ names, labels: partly }, 0.5);
    expect(chosen).to.have.length(10);
    expect(chosen.every((name) => partly[names.indexOf(name)]! >= 0)).to.equal(true);
    expect(held({ names, labels: null }, 0.25)).to.have.length(10);
    expect(held({ names, labels: labels.map(() => -1) }, 0.25)).to.have.length(10);
  });

  it('none, and more than there are: UsageError', () => {
    expect(() => held(images(20, 20), 0.01)).to.throw(UsageError, /data\.validation 0\.01 of 40 labelled images of photos is less than one; accepted: a larger/); // prettier-ignore
    expect(() => held(images(3, 1, 2), 4)).to.throw(UsageError, /data\.validation 4 of 6 labelled images of photos leaves none of a class .* at most 3, or 0/); // prettier-ignore
  });
});
