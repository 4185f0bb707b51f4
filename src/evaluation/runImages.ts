import { openSource, type ImageSource, type SourceOptions } from '../data/source.js';
import { SlimclrError, UsageError } from '../errors.js';

/**
 * Opens the images that a run was trained on, where they were then, or those at `other`. Throws a UsageError for
 * images of the run that are not there any more: `instead` are the ways out.
 */
export async function openRunImages(
  ofRun: string,
  other: string | undefined,
  options: SourceOptions,
  instead: string,
): Promise<ImageSource> {
  try {
    return await openSource(other ?? ofRun, options);
  } catch (error) {
    if (!(error instanceof SlimclrError) || other !== undefined) throw error;
    // What follows is what the config could name instead.
    const [reason] = error.message.split(';');
    throw new UsageError(`the images of the run cannot be opened (${reason}); accepted instead: ${instead}`);
  }
}
