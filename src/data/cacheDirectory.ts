import { homedir } from 'node:os';
import { join } from 'node:path';

/**
 * Where data sets are kept between runs, outside any project: `SLIMCLR_CACHE`, else
 * `$XDG_CACHE_HOME/slimclr`, else `~/.cache/slimclr`.
 */
export function defaultCacheDirectory(environment: NodeJS.ProcessEnv = process.env): string {
  if (environment.SLIMCLR_CACHE) return environment.SLIMCLR_CACHE;
  return join(environment.XDG_CACHE_HOME || join(homedir(), '.cache'), 'slimclr');
}
