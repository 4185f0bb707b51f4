import type { Config } from '../../src/config/schema.js';
import { pretrain } from '../../src/training/pretrain.js';

/** Pre-trains in a process of its own and tells the parent about every step, or checkpoint, so that it can be killed at one. */
const [config, runFolder, type = 'step'] = process.argv.slice(2) as [string, string, string?];
await pretrain({
  config: JSON.parse(config) as Config,
  runFolder,
  onEvent: (event) => event.type === type && 'step' in event && process.send!(event.step),
});
