import { existsSync } from 'node:fs';
import { basename, join } from 'node:path';
import type { z } from 'zod';
import { datasetNames } from '../data/dataset.js';
import { SlimclrError } from '../errors.js';
import { probeName } from '../evaluation/resultFiles.js';
import { probeProtocols, resultSchemas } from '../evaluation/results.js';
import type { TrainedRun } from '../evaluation/trainedRun.js';
import type { Notices } from '../keep.js';
import { readJsonIfThere } from '../readJson.js';
import type { ConversionOptions } from './conversion.js';
import type { ExportForm } from './form.js';
import type { ManifestModel } from './manifest.js';

type KnownAccuracy = ManifestModel['accuracy'];

/**
 * What `results/` of a run knows of the accuracy of a model, of the same checkpoint: kNN, and the linear probe whose
 * classifier it has, without one of the first protocol that there is. Nothing of another image size or precision.
 */
export type AccuracyOf = (
  width: number,
  form: Pick<ExportForm, 'classifier' | 'size' | 'precision'>,
) => KnownAccuracy;

/** Reads the results of a run. A result that is damaged is left out with a notice. */
export async function knownAccuracies(
  { folder, checkpoint }: Pick<TrainedRun, 'folder' | 'checkpoint'>,
  { onNotice }: Notices,
): Promise<AccuracyOf> {
  const knn = await read('knn', resultSchemas.knn);
  const probes = await Promise.all(
    probeProtocols.map((protocol) => read(probeName(protocol), resultSchemas.probe)),
  );
  return (width, { classifier, size, precision }) => {
    if (size !== null || precision !== 'float32') return { knn: null, probe: null };
    const neighbours = measured(knn, width);
    const probe = probes.find((one) => one && (classifier === null || one.protocol === classifier));
    const trained = measured(probe, width);
    return {
      knn: knn && neighbours ? { ...neighbours, k: knn.k, temperature: knn.temperature } : null,
      probe: probe && trained ? { ...trained, protocol: probe.protocol } : null,
    };
  };

  async function read<T extends { readonly checkpoint: string }>(
    name: string,
    schema: z.ZodType<T>,
  ): Promise<T | undefined> {
    try {
      const result = await readJsonIfThere(join(folder, 'results', `${name}.json`), schema);
      return result?.checkpoint === checkpoint ? result : undefined;
    } catch (error) {
      if (!(error instanceof SlimclrError)) throw error;
      onNotice?.(`${error.message}; its accuracy is left out`);
      return undefined;
    }
  }
}

/** What names the test images of a run's kNN; nothing where that is not known of this checkpoint, or they are not there. */
export async function knownTestImages({
  folder,
  checkpoint,
}: Pick<TrainedRun, 'folder' | 'checkpoint'>): Promise<Pick<ConversionOptions, 'testSource' | 'heldOut'>> {
  const path = join(folder, 'results', 'knn.json');
  const result = await readJsonIfThere(path, resultSchemas.knn).catch(() => undefined);
  if (result?.checkpoint !== checkpoint) return {};
  const { heldOut, testSource } = result;
  if (heldOut) return { heldOut };
  return datasetNames.includes(testSource) || existsSync(testSource) ? { testSource } : {};
}

interface Evaluated {
  readonly testSource: string;
  readonly testImages: number;
  readonly heldOut?: true;
  readonly widths: readonly {
    readonly width: number;
    readonly trained: { readonly top1: number; readonly top5: number };
  }[];
}

function measured(result: Evaluated | undefined, width: number) {
  const trained = result?.widths.find((entry) => entry.width === width)?.trained;
  if (!result || !trained) return null;
  // A folder by its name: manifests are published, places on a disk are not.
  const source = basename(result.testSource);
  const { testImages: images, heldOut } = result;
  return { top1: trained.top1, top5: trained.top5, source, images, ...(heldOut && { heldOut }) };
}
