import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { assignmentsSince } from '../config/recorded.js';
import { loadConfig, withAssignments } from '../config/load.js';
import type { Config } from '../config/schema.js';
import { decodeText } from '../config/text.js';
import { UsageError } from '../errors.js';
import { checkpointPath, listCheckpoints, readCheckpointInfo } from './checkpoint.js';

export interface ResumedConfigOptions {
  /** Path of the checkpoint that is gone on from, or `best`; default: the newest of the run. */
  readonly checkpoint?: string;
  /** Assignments on top, as `loadConfig` takes them. */
  readonly set?: readonly string[];
  /** Told where the config comes from when its file is torn or missing. */
  readonly onNotice?: (message: string) => void;
}

/**
 * The config of a run that is resumed: that of its config.json, or of the checkpoint where the file is torn or missing.
 * Throws a UsageError for a folder without either, and for what `loadConfig` refuses.
 */
export async function resumedConfig(runFolder: string, options: ResumedConfigOptions = {}): Promise<Config> {
  const { checkpoint, set = [], onNotice } = options;
  const file = join(runFolder, 'config.json');
  const state = !existsSync(file) ? 'missing' : isJson(file) ? 'whole' : 'torn';
  if (state === 'whole') {
    const since = assignmentsSince(JSON.parse(decodeText(readFileSync(file))));
    if (since.length === 0) return loadConfig({ file, set });
    return withAssignments(withAssignments(loadConfig({ file }), since), set);
  }
  if (checkpoint === undefined && (await listCheckpoints(runFolder)).length === 0) {
    throw new UsageError(
      `${runFolder}: no run to resume (config.json is ${state}, and there is no checkpoint); accepted: a run folder of pretrain, ` +
        'or --preset or --config for `--resume auto` to begin one',
    );
  }
  const path = await checkpointPath(runFolder, checkpoint);
  const { config } = await readCheckpointInfo(path);
  onNotice?.(`${file} is ${state}: the config of ${path} is taken`);
  return withAssignments(config, set);
}

function isJson(file: string): boolean {
  try {
    JSON.parse(decodeText(readFileSync(file)));
    return true;
  } catch (error) {
    return !(error instanceof SyntaxError);
  }
}
