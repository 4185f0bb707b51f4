import { homedir, userInfo } from 'node:os';
import { join } from 'node:path';
import { SlimclrError } from '../errors.js';

/**
 * Where data sets are kept between runs, outside any project: `SLIMCLR_CACHE`, else
 * `$XDG_CACHE_HOME/slimclr`, else `~/.cache/slimclr`. Throws a SlimclrError for a user without a home.
 */
export function defaultCacheDirectory(environment: NodeJS.ProcessEnv = process.env): string {
  if (environment.SLIMCLR_CACHE) return environment.SLIMCLR_CACHE;
  return join(environment.XDG_CACHE_HOME || join(home(), '.cache'), 'slimclr');
}

/** HOME, or what the system knows of the user; in a container it may know nothing. */
function home(): string {
  let known = '';
  try {
    known = homedir() || userInfo().homedir;
  } catch {
    // No entry for the user's number.
  }
  if (known !== '') return known;
  throw new SlimclrError(
    'no folder for the cache: HOME is not set and the system knows no home of this user; ' +
      'accepted: a folder in SLIMCLR_CACHE, or --cache',
  );
}
