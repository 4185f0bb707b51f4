/**
 * Exported models on runtimes that others wrote: `npm run interop` makes a Python environment for each runtime from
 * PyPI, runs models there and compares the outputs with those of ONNX Runtime's CPU provider. Exit code 1 where a model
 * is refused or its numbers differ; a runtime that cannot be installed is named and left out.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Command } from 'commander';
import { formatTable } from '../../src/cli/table.js';
import { defaultCacheDirectory } from '../../src/data/cacheDirectory.js';
import { SlimclrError, UsageError } from '../../src/errors.js';
import { environmentOf } from './environment.js';
import { exportFamily } from './family.js';
import { runtimes, type Runtime, type RuntimeName } from './runtimes.js';
import { withTable } from './document.js';
import { openSubject } from './subject.js';
import { testedOn, type Verdict } from './verdict.js';

interface Options {
  readonly python: string;
  readonly environments: string;
  readonly runtimes: readonly RuntimeName[];
  readonly document?: string;
}

const scratch = mkdtempSync(join(tmpdir(), 'slimclr-interop-'));
try {
  const { models, options } = parsed();
  const paths = models.length > 0 ? await filesOf(models) : await exportFamily(scratch);
  const subjects = await Promise.all(paths.map(openSubject));
  const columns = [['model', ...subjects.map(({ name }) => name)]];
  let failed = false;
  for (const name of options.runtimes) {
    const runtime: Runtime = runtimes[name];
    let interpreter: string;
    try {
      interpreter = await environmentOf(options.environments, options.python, runtime.packages);
    } catch (error) {
      if (!(error instanceof SlimclrError)) throw error;
      console.error(`${runtime.title} is left out: ${error.message}`);
      continue;
    }
    const verdicts: Verdict[] = [];
    for (const subject of subjects) {
      const verdict = await testedOn(runtime, interpreter, subject);
      const mark = verdict.isRight ? 'ok   ' : 'WRONG';
      console.log(`${mark} ${runtime.title} ${verdict.version ?? ''} ${subject.name}: ${verdict.message}`);
      failed ||= !verdict.isRight;
      verdicts.push(verdict);
    }
    const version = verdicts.find((verdict) => verdict.version !== null)?.version ?? '-';
    columns.push([`${runtime.title}, ${version}`, ...verdicts.map(({ cell }) => cell)]);
  }
  const table = columns[0]!.map((_, row) => columns.map((column) => column[row]!));
  process.stdout.write(`\n${formatTable(table)}`);
  if (options.document !== undefined) {
    const text = await readFile(options.document, 'utf8');
    await writeFile(options.document, withTable(text, table, options.document));
  }
  process.exitCode = failed ? 1 : 0;
} catch (error) {
  if (!(error instanceof SlimclrError)) throw error;
  console.error(error.message);
  process.exitCode = error instanceof UsageError ? 2 : 1;
} finally {
  rmSync(scratch, { recursive: true });
}

/** Models that are named, and those in folders that are. */
async function filesOf(places: readonly string[]): Promise<string[]> {
  const files = await Promise.all(
    places.map(async (place) => {
      const there = await stat(place).catch(() => null);
      if (!there)
        throw new UsageError(`${place} is not there; accepted: a model (.onnx), a folder with some`);
      if (!there.isDirectory()) return [place];
      const names = (await readdir(place)).filter((name) => name.endsWith('.onnx')).sort();
      if (names.length === 0)
        throw new UsageError(`${place} has no models; accepted: a folder with .onnx files`);
      return names.map((name) => join(place, name));
    }),
  );
  return files.flat();
}

function parsed(): { readonly models: readonly string[]; readonly options: Options } {
  const names = Object.keys(runtimes) as RuntimeName[];
  const program = new Command('npm run interop --')
    .description('Run exported models on other runtimes and compare the outputs.')
    .argument(
      '[models...]',
      'models or folders of them (default: a family with random weights in every form)',
    )
    .option('--python <path>', 'the Python whose environments are made, 3.9 to 3.11', 'python3')
    .option('--environments <folder>', 'where they are kept', join(defaultCacheDirectory(), 'interop'))
    .option('--runtimes <names...>', `which; accepted: ${names.join(', ')}`, names)
    .option('--document <file>', 'a Markdown file whose table between <!-- interop --> lines is written anew')
    .exitOverride(({ exitCode }) => process.exit(exitCode === 0 ? 0 : 2))
    .parse();
  const options = program.opts<Options>();
  const unknown = options.runtimes.find((name) => !names.includes(name));
  if (unknown !== undefined) program.error(`unknown runtime "${unknown}"; accepted: ${names.join(', ')}`);
  return { models: program.args, options };
}
