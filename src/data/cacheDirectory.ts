import { homedir, userInfo } from 'node:os';
import { join } from 'node:path';
import { SlimclrError } from '../errors.js';

/**
 * Where data sets are kept between runs, outside any project: `SLIMCLR_CACHE`, else
 * `$XDG_CACHE_HOME/slimclr`, else `~/.cache/slimclr`. Throws a SlimclrError for a user without a home.
 */
export function defaultCacheDirectory(environment: NodeJS.ProcessEnv = process.env): string {
  if (environment.SLIMCLR_CACHE) return environment.SLIMCLR_CACHE;
  if (environment.XDG_CACHE_HOME) return join(environment.XDG_CACHE_HOME, 'slimclr');
  const home = homeDirectory();
  if (home === undefined) {
    throw new SlimclrError(
      'no folder for the cache: HOME is not set and the system knows no home of this user; ' +
        'accepted: a folder in SLIMCLR_CACHE, or --cache',
    );
  }
  return join(home, '.cache', 'slimclr');
}

/** HOME, or what the system knows of the user; undefined in a container that knows nothing. */
export function homeDirectory(): string | undefined {
  try {
    return homedir() || userInfo().homedir || undefined;
  } catch {
    // No entry for the user's number.
    return undefined;
  }
}
