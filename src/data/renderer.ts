import type { ColorStep, Rectangle } from './augmentation.js';
import type { AxisFilter } from './axisFilter.js';
import { BandRenderer } from './bandRenderer.js';
import type { RawImage } from './rawImage.js';
import { ViewRenderer } from './viewRenderer.js';

/**
 * Makes images [C, S, S] of decoded ones, of values from 0 to that of white, and changes them in place; a colour step is the
 * method of its kind.
 */
export interface Renderer extends Record<ColorStep['kind'], (factor: number) => void> {
  /** Resamples `region` of an image by the filters of its two axes. */
  resample(image: RawImage, region: Rectangle, columns: AxisFilter, rows: AxisFilter): void;
  /** Gaussian blur with reflection at the border, its kernel cut at three standard deviations. */
  blur(sigma: number): void;
  /** Values of the bright half are inverted. */
  solarize(): void;
  /** Writes `(value - mean) * scale`, [C, S, S], into `out` at `offset`; the values here are spent. */
  normalizeInto(out: Float32Array, offset: number, mean: readonly number[], scale: readonly number[]): void;
}

/** A renderer of each kind, made when it is first needed. Holds scratch memory: one a thread. */
export class Renderers {
  #ofBytes: ViewRenderer | null = null;
  #ofBands: BandRenderer | null = null;

  constructor(private readonly size: number) {}

  /** Memory for the pixels of one RGB image (`ViewRenderer.pixels`). */
  pixels(width: number, height: number): Uint8Array<ArrayBuffer> {
    return this.#rgb().pixels(width, height);
  }

  /** What renders an image. */
  of({ channels, data }: RawImage): Renderer {
    if (channels === 3 && data.BYTES_PER_ELEMENT === 1) return this.#rgb();
    return (this.#ofBands ??= new BandRenderer(this.size));
  }

  #rgb(): ViewRenderer {
    return (this.#ofBytes ??= new ViewRenderer(this.size));
  }
}
