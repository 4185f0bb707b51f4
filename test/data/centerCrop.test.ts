import { expect } from 'chai';
import { centerCrop } from '../../src/data/centerCrop.js';

describe('centerCrop', () => {
  /** Python's round by its words: the nearest integers, and of two the one that 2 divides. */
  function pythonRound(x: number): number {
    const nearest = [Math.trunc(x) - 1, Math.trunc(x), Math.trunc(x) + 1];
    const distance = Math.min(...nearest.map((n) => Math.abs(n - x)));
    const best = nearest.filter((n) => Math.abs(n - x) === distance);
    return best.length === 1 ? best[0]! : best.find((n) => n % 2 === 0)!;
  }

  /** torchvision's `_compute_resized_output_size` and `center_crop`, line by line. */
  function torchvision(width: number, height: number, short: number, size: number) {
    const [small, long] = width <= height ? [width, height] : [height, width];
    const newLong = Math.trunc((short * long) / small);
    const [newWidth, newHeight] = width <= height ? [short, newLong] : [newLong, short];
    return {
      resized: { width: newWidth, height: newHeight },
      left: pythonRound((newWidth - size) / 2),
      top: pythonRound((newHeight - size) / 2),
    };
  }

  for (const [size, short] of [
    [32, 37],
    [96, 110],
    [224, 256],
  ] as const) {
    it(`every width and height from ${size} to ${2 * size}: torchvision's resize to ${short} and crop`, () => {
      for (let width = size; width <= 2 * size; width++) {
        for (let height = size; height <= 2 * size; height++) {
          if (width === size && height === size) continue;
          const found = centerCrop(width, height, size);
          const expected = torchvision(width, height, short, size);
          // Chai's comparison of 60,000 objects takes seconds.
          if (JSON.stringify(found) !== JSON.stringify(expected)) {
            expect(found, `${width}x${height}`).to.deep.equal(expected);
          }
        }
      }
    });
  }

  // Printed by torchvision 0.29. Rounded half up, 58 and 38 would be 59 and 39.
  for (const [width, height, size, resized, left, top] of [
    [500, 375, 224, [341, 256], 58, 16],
    [301, 256, 224, [301, 256], 38, 16],
    [303, 256, 224, [303, 256], 40, 16],
    [225, 400, 224, [256, 455], 16, 116],
    [90, 70, 32, [47, 37], 8, 2],
  ] as const) {
    it(`${width}x${height} for ${size}`, () => {
      const [w, h] = resized;
      expect(centerCrop(width, height, size)).to.deep.equal({ resized: { width: w, height: h }, left, top });
    });
  }

  it('an image of the size: as it is', () => {
    expect(centerCrop(32, 32, 32)).to.deep.equal({ resized: { width: 32, height: 32 }, left: 0, top: 0 });
  });
});
