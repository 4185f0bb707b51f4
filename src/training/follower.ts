import { loadConfig } from '../config/load.js';
import { configSchema, type Config } from '../config/schema.js';
import { activeLauncher } from '../distributed/mpi/joinMpi.js';

/** Whether this process is one that a launcher has started to do as another one says: it prints and decides nothing. */
export function isFollower(runtime: Config['runtime'] = configSchema.parse({}).runtime): boolean {
  return (activeLauncher(runtime)?.rank ?? 0) > 0;
}

/**
 * The config of a follower where the files of the run are not: that of rank 0 reaches it later, and of its own no more
 * counts than how to join. Throws `error`, which its config has met with, for any other process.
 */
export function followerConfig(assignments: readonly string[], error: unknown): Config {
  const config = loadConfig({
    set: assignments.filter((assignment) => assignment.startsWith('runtime.mpi')),
  });
  if (!isFollower(config.runtime)) throw error;
  return config;
}
