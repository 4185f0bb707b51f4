import { expect } from 'chai';
import { StringNumbers } from '../../src/data/stringNumbers.js';

describe('numbers of strings', () => {
  it('those that a Map gives, through every enlargement', () => {
    const [numbers, expected] = [new StringNumbers(), new Map<string, number>()];
    const texts = ['', 'a', 'aa', 'ä', '\u{1f600}', '\0', 'x'.repeat(10_000)];
    for (let i = 0; i < 5000; i++)
      texts.push(`n${i % 7}/${String(i * 977).padStart(8, '0')}`, String(i % 100));
    for (const text of texts) {
      if (!expected.has(text)) expected.set(text, expected.size);
      expect(numbers.numberOf(text)).to.equal(expected.get(text));
    }
    expect(numbers.count).to.equal(expected.size);
    for (const [text, number] of expected) {
      expect(numbers.at(number)).to.equal(text);
      expect(numbers.numberOf(text)).to.equal(number);
    }
  });
});
