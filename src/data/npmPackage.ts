import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import type pacote from 'pacote';
import { homeDirectory } from './cacheDirectory.js';

/** A package of the npm registry, pinned by version and content. */
export interface NpmPackage {
  readonly name: string;
  readonly version: string;
  /** Subresource integrity of the tarball, `sha512-...`. */
  readonly integrity: string;
}

/**
 * Download a package, check its integrity and unpack it into `folder`. The registry, proxy and certificates
 * are those that `npm install` would use here; the tarball stays in npm's own cache, so a second try after an
 * interruption does not download it again. npm does not tell its credentials: a registry that asks for a
 * login is not supported.
 */
export async function extractPackage(npmPackage: NpmPackage, folder: string): Promise<void> {
  const { HOME } = process.env;
  // npm and pacote look for the user's home, which in a container may not exist: the folder beside will do.
  const homeless = homeDirectory() === undefined;
  if (homeless) process.env.HOME = dirname(folder);
  try {
    // Only here: it looks when it is loaded.
    const { default: registry } = await import('pacote');
    await registry.extract(`${npmPackage.name}@${npmPackage.version}`, folder, {
      ...(await registryOptions()),
      integrity: npmPackage.integrity,
    });
  } finally {
    if (homeless && HOME === undefined) delete process.env.HOME;
    else if (homeless) process.env.HOME = HOME;
  }
}

/** pacote reads no configuration of its own: translate npm's into its options. */
async function registryOptions(): Promise<pacote.Options> {
  const config = await npmConfig();
  const text = (key: string): string | undefined => {
    const value = config[key];
    return typeof value === 'string' && value !== '' ? value : undefined;
  };
  const options: Record<string, unknown> = {
    // One retry soon: whoever is offline should be told so in seconds.
    fetchRetries: 1,
    fetchRetryMintimeout: 1000,
    strictSSL: config['strict-ssl'] !== false,
    offline: config.offline === true,
    preferOffline: true,
  };
  const set = (option: string, value: unknown) => {
    if (value !== undefined && value !== null) options[option] = value;
  };
  set('registry', text('registry'));
  set('proxy', text('proxy'));
  set('httpsProxy', text('https-proxy'));
  set('noProxy', Array.isArray(config.noproxy) ? config.noproxy.join(',') : text('noproxy'));
  set('ca', config.ca);
  set('cert', text('cert'));
  set('key', text('key'));
  const cafile = text('cafile');
  if (cafile) set('ca', await readFile(cafile, 'utf8'));
  const cache = text('cache');
  if (cache) set('cache', join(cache, '_cacache'));
  return options;
}

/** npm's effective configuration: .npmrc files, environment, defaults. */
async function npmConfig(): Promise<Record<string, unknown>> {
  try {
    const { stdout } = await promisify(execFile)('npm', ['config', 'list', '--json'], {
      maxBuffer: 2 ** 24,
      shell: process.platform === 'win32',
    });
    return JSON.parse(stdout) as Record<string, unknown>;
  } catch {
    // Node without npm: what is left is the environment.
    return { registry: process.env.npm_config_registry };
  }
}
