import { z } from 'zod';
import { configSchema } from './schema.js';

/** JSON Schema of what a config file may hold, every key optional, defaults named; `preset` names its base. */
export function configJsonSchema(): object {
  const schema = z.toJSONSchema(configSchema, { io: 'input' });
  const preset = { type: 'string', description: 'name of the preset that the file starts from' };
  return { title: 'slimclr config', ...schema, properties: { preset, ...schema.properties } };
}
