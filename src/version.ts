import { createRequire } from 'node:module';

/** Version of this package. The path holds from dist/src, where the compiled file lies. */
export const version = (createRequire(import.meta.url)('../../package.json') as { version: string }).version;
