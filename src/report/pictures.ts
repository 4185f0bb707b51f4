import { SlimclrError } from '../errors.js';
import { shellWord } from '../shellWord.js';
import { augmentedViews, type AugmentedImage } from './augmentedViews.js';
import { queryNeighbours, type QueryNeighbours } from './neighbours.js';
import type { ReportOptions } from './options.js';
import type { Run } from './run.js';

/** What the report shows of images, each with a sentence instead where it cannot be shown. */
export interface Pictures {
  readonly views: readonly AugmentedImage[] | string;
  readonly neighbours: readonly QueryNeighbours[] | string;
}

/** Training images that are shown with their views. */
const viewedImages = 8;

/** Reads images and features of a run as far as they are on this machine; nothing is downloaded. */
export async function readPictures(run: Run, options: ReportOptions = {}): Promise<Pictures> {
  const { folder, config, knn } = run;
  return {
    views:
      config === undefined
        ? 'The configuration of this run is not known, so its views are not either.'
        : await orSentence('The training images are not available any more', () =>
            augmentedViews(config, viewedImages, options),
          ),
    neighbours:
      knn === undefined
        ? `Nearest neighbours are shown once \`slimclr knn ${shellWord(folder)}\` has computed the features.`
        : await orSentence(`Run \`slimclr knn ${shellWord(folder)}\` again to see nearest neighbours`, () =>
            queryNeighbours(folder, knn, options),
          ),
  };
}

async function orSentence<T>(absence: string, read: () => Promise<T>): Promise<T | string> {
  try {
    return await read();
  } catch (error) {
    if (error instanceof SlimclrError) return `${absence}: ${error.message}.`;
    throw error;
  }
}
