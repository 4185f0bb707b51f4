import { openSource, type ImageSource } from '../data/source.js';
import { SlimclrError } from '../errors.js';
import { once } from '../once.js';
import { orInstead } from '../evaluation/runImages.js';
import { pixelForm } from './fixedInputs.js';
import type { CheckOptions } from './options.js';
import { runConfigAt, type OpenedModel } from './subject.js';

/** The images that models run on, opened when the first one takes some. */
export class SampleImages {
  readonly #opened = new Map<string, Promise<ImageSource | null>>();

  constructor(
    private readonly subject: string,
    private readonly options: CheckOptions,
  ) {}

  /** Null for a model that takes no images, and where there are none. */
  async of({ structure: { inputs, metadata } }: OpenedModel): Promise<ImageSource | null> {
    const takesImages = inputs.some((port) => pixelForm(port, metadata, this.options));
    return takesImages ? once(this.#opened, '', () => this.#open()) : null;
  }

  async #open(): Promise<ImageSource | null> {
    const { images, count = 8, cacheDirectory, onNotice, onProgress } = this.options;
    const options = {
      split: 'test',
      limit: count,
      ...(cacheDirectory !== undefined && { cacheDirectory }),
      ...(onProgress && { onProgress }),
    } as const;
    if (images !== undefined) return openSource(images, { ...options, seed: 0 });
    const config = await runConfigAt(this.subject);
    if (!config) {
      onNotice?.('no images are given: the models run on drawn ones');
      return null;
    }
    try {
      const { data, seed } = config;
      return await orInstead(undefined, 'others', () => openSource(data.source, { ...options, seed }));
    } catch (error) {
      if (!(error instanceof SlimclrError)) throw error;
      const [reason] = error.message.split(';');
      onNotice?.(`${reason}: the models run on drawn images`);
      return null;
    }
  }
}
