import { parse } from 'node:path';
import { loadConfig } from '../config/load.js';
import { presets, type PresetName } from '../config/presets.js';
import type { Config } from '../config/schema.js';
import { SlimclrError, UsageError } from '../errors.js';
import { emitMethod } from '../methods/index.js';
import { modelText, textHash } from '../onnx/text.js';
import { targets } from '../targets/index.js';
import { diffGraphTexts, differenceOf, type Difference } from './difference.js';
import {
  readGoldenFolder,
  textPath,
  writeGoldenFolder,
  type GoldenEntry,
  type GoldenFolder,
} from './goldenFolder.js';
import { diffManifestTexts, manifestText } from './manifestText.js';

/** Configs by the name under which their graphs are kept. */
export type NamedConfigs = ReadonlyMap<string, Config>;

export interface GoldenReport {
  /** Texts that were emitted and compared. */
  readonly compared: number;
  /** Empty when everything is as committed. */
  readonly differences: readonly Difference[];
}

export interface GoldenUpdate {
  /** Paths relative to the folder; a file that was right already is not among them. */
  readonly written: readonly string[];
  readonly removed: readonly string[];
}

/** Every preset for every target, e.g. under `cifar10-resnet20.cpu`. */
export function presetConfigs(): Map<string, Config> {
  const names = Object.keys(targets) as (keyof typeof targets)[];
  return new Map(
    Object.keys(presets).flatMap((preset) => {
      const config = loadConfig({ preset });
      // Emitting takes nothing of what running does, so whether the rest of `runtime` fits does not matter.
      return names.map((target) => [
        `${preset}.${target}`,
        { ...config, runtime: { ...config.runtime, target } },
      ]);
    }),
  );
}

/** Presets of large networks whose graphs another preset's texts stand for: of them only hashes are kept. */
const hashed: readonly PresetName[] = [
  'cifar10-resnet18-moco-v3',
  'cifar10-resnet18-simclr',
  'images',
  'imagenet-resnet50-800',
  'imagenet-resnet50-moco-v3',
  'imagenet-resnet50-simclr',
  'imagenet-resnet50-supervised',
];

/** Targets of whose graphs more is kept than hashes, but for the smallest preset: `portable` shows what graphs do. */
const shown = ['.portable', '.cpu'];

function keptOf(name: string): GoldenEntry['kept'] {
  const { name: preset, ext } = parse(name);
  if (preset in presets && ext !== '' && !shown.includes(ext) && preset !== 'cifar10-resnet20')
    return 'hashes';
  return hashed.some((other) => other === preset) ? 'hashes' : 'texts';
}

/** The configs of files, each under the file's name without extension. Throws a UsageError for equal names. */
export function fileConfigs(files: readonly string[]): Map<string, Config> {
  const configs = new Map<string, Config>();
  for (const file of files) {
    const { name } = parse(file);
    if (configs.has(name)) {
      throw new UsageError(`two config files are named "${name}"; accepted: files of different names`);
    }
    configs.set(name, loadConfig({ file }));
  }
  return configs;
}

/**
 * Emits the graphs of the configs afresh and compares them with the golden texts of a folder: what was added,
 * removed or changed since, and what is wrong with the folder itself (texts that are missing, left over or
 * edited by hand). Throws when the folder has no index.
 */
export async function checkGolden(
  folder: string,
  configs: NamedConfigs = presetConfigs(),
): Promise<GoldenReport> {
  const { index, files } = await readGoldenFolder(folder);
  const differences: Difference[] = [];
  let compared = 0;
  for (const [name, config] of configs) {
    const entry = index.configs[name];
    if (!entry) {
      differences.push(differenceOf(name, 'missing from the golden graphs'));
      continue;
    }
    const fresh = emitTexts(config);
    differences.push(...checkConfig(name, entry, fresh, files));
    compared += fresh.texts.size;
  }
  for (const name of Object.keys(index.configs)) {
    if (!configs.has(name)) {
      differences.push(
        differenceOf(name, `in the golden graphs, but not checked; known: ${[...configs.keys()].join(', ')}`),
      );
    }
  }
  const indexed = new Set(
    Object.entries(index.configs).flatMap(([name, { kept, texts }]) =>
      Object.keys(kept === 'texts' ? texts : {}).map((text) => textPath(name, text)),
    ),
  );
  for (const file of files.keys()) {
    if (!indexed.has(file)) differences.push(differenceOf(file, 'not in the index'));
  }
  return { compared, differences };
}

/** Writes the golden texts of the configs; other configs and their texts go. */
export async function updateGolden(
  folder: string,
  configs: NamedConfigs = presetConfigs(),
): Promise<GoldenUpdate> {
  const files = new Map<string, string>();
  const entries: Record<string, GoldenEntry> = {};
  for (const [name, config] of configs) {
    const { target, opset, texts } = emitTexts(config);
    const hashes = [...texts].map(([text, content]) => [text, textHash(content)] as const);
    const kept = keptOf(name);
    entries[name] = { target, opset, kept, texts: Object.fromEntries(hashes) };
    if (kept === 'hashes') continue;
    for (const [text, content] of texts) files.set(textPath(name, text), content);
  }
  return writeGoldenFolder(folder, {
    index: { format: 'slimclr-golden-graphs', version: 1, configs: entries },
    files,
  });
}

/** Name of the text that is not of a graph but of the manifest. */
const manifestName = 'manifest';

interface EmittedTexts {
  readonly target: string;
  readonly opset: number;
  readonly texts: ReadonlyMap<string, string>;
}

function emitTexts(config: Config): EmittedTexts {
  const { manifest, programs } = emitMethod(config);
  const graphs = programs.map(({ entry, model }) => [entry.name, modelText(model)] as const);
  const { target, opset } = manifest;
  return { target, opset, texts: new Map([[manifestName, manifestText(manifest)], ...graphs]) };
}

function checkConfig(
  name: string,
  golden: GoldenEntry,
  fresh: EmittedTexts,
  files: GoldenFolder['files'],
): Difference[] {
  const differences: Difference[] = [];
  for (const key of ['target', 'opset'] as const) {
    if (golden[key] !== fresh[key]) {
      differences.push(differenceOf(name, `${key} changed: ${golden[key]} -> ${fresh[key]}`));
    }
  }
  for (const text of new Set([...Object.keys(golden.texts), ...fresh.texts.keys()])) {
    const subject = `${name}/${text}`;
    const hash = golden.texts[text];
    const committed = files.get(textPath(name, text));
    const emitted = fresh.texts.get(text);
    if (hash === undefined) {
      differences.push(differenceOf(subject, 'added: it is not in the golden graphs'));
    } else if (emitted === undefined) {
      differences.push(differenceOf(subject, 'removed: it is not emitted any more'));
    } else if (golden.kept === 'hashes') {
      if (textHash(emitted) !== hash) {
        const line = 'changed; only its hash is kept: `slimclr graph diff` of two built folders shows how';
        differences.push(differenceOf(subject, line));
      }
    } else if (committed === undefined) {
      differences.push(differenceOf(subject, `${textPath(name, text)} is missing`));
    } else {
      const edited =
        textHash(committed) === hash
          ? []
          : differenceOf(subject, `${textPath(name, text)} was edited: its hash is not the index's`).lines;
      const lines = [...edited, ...(diffTexts(subject, text, committed, emitted)?.lines ?? [])];
      if (lines.length > 0) differences.push({ subject, lines });
    }
  }
  return differences;
}

function diffTexts(
  subject: string,
  text: string,
  committed: string,
  emitted: string,
): Difference | undefined {
  if (text === manifestName) return diffManifestTexts(subject, committed, emitted);
  try {
    return diffGraphTexts(subject, committed, emitted);
  } catch (error) {
    if (error instanceof SlimclrError) return differenceOf(subject, error.message);
    throw error;
  }
}
