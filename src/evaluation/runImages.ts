import type { Config } from '../config/schema.js';
import {
  openTrainingImages,
  type TrainingImages,
  type TrainingImagesOptions,
} from '../data/trainingImages.js';
import { SlimclrError, UsageError } from '../errors.js';

/**
 * Opens the images that a run was trained on, where they were then, or those at `options.source`. Throws a UsageError for
 * images of the run that are not there any more: `instead` are the ways out.
 */
export async function openRunImages(
  config: Config,
  options: TrainingImagesOptions,
  instead: string,
): Promise<TrainingImages> {
  return orInstead(options.source, instead, () => openTrainingImages(config, options));
}

/** What `open` gives; of images of the run, not of `other` ones, that cannot be opened, the error names the ways out. */
export async function orInstead<T>(
  other: string | undefined,
  instead: string,
  open: () => Promise<T>,
): Promise<T> {
  try {
    return await open();
  } catch (error) {
    if (!(error instanceof SlimclrError) || other !== undefined) throw error;
    // What follows is what the config could name instead.
    const [reason] = error.message.split(';');
    throw new UsageError(`the images of the run cannot be opened (${reason}); accepted instead: ${instead}`);
  }
}
