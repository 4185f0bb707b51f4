import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** The repository. The path holds from dist/test/package, where the compiled file lies. */
export const repository = fileURLToPath(new URL('../../../', import.meta.url));

export interface Project {
  /** A folder with `node_modules`. */
  readonly folder: string;
  /** The unpacked tarball of slimclr in it. */
  readonly installed: string;
  remove(): void;
}

/**
 * Packs slimclr as `npm publish` would and installs it in a new project, without a network: only what the tarball
 * holds, and links to the packages that it declares as its dependencies.
 */
export function installTarball(): Project {
  const folder = mkdtempSync(join(tmpdir(), 'slimclr-package-'));
  const packed = execFileSync('npm', ['pack', '--json', '--ignore-scripts', '--pack-destination', folder], {
    cwd: repository,
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  const [{ filename }] = JSON.parse(packed) as [{ filename: string }];
  const installed = join(folder, 'node_modules', 'slimclr');
  mkdirSync(installed, { recursive: true });
  execFileSync('tar', ['-xzf', join(folder, filename), '-C', installed, '--strip-components', '1']);
  const { dependencies } = JSON.parse(readFileSync(join(installed, 'package.json'), 'utf8')) as {
    dependencies: Record<string, string>;
  };
  // A project in TypeScript has the types of Node, too.
  for (const name of [...Object.keys(dependencies), '@types/node']) {
    const link = join(folder, 'node_modules', name);
    mkdirSync(dirname(link), { recursive: true });
    symlinkSync(join(repository, 'node_modules', name), link);
  }
  return { folder, installed, remove: () => rmSync(folder, { recursive: true }) };
}
