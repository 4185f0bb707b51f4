import { SlimclrError } from '../errors.js';

/** An input or output of a model; a symbolic dimension, such as `batch`, takes any length. */
export interface ModelTensor {
  readonly name: string;
  readonly dtype: string;
  readonly shape: readonly (number | string)[];
}

/** What is to be done with an image before a model gets it. */
export interface ModelPreprocessing {
  /** What the model does by itself: `normalize`, `resize` (with the crop). */
  readonly inGraph: readonly string[];
  /** What the short side is resized to, in pixels. */
  readonly shortSide: number;
  /** The centre that is cut out. */
  readonly crop: { readonly size: number };
  readonly layout: string;
  /** Of the channels. */
  readonly order: string;
  /** Normalised value = (byte * scale - mean) / std, of each channel. */
  readonly scale: number;
  readonly mean: readonly number[];
  readonly std: readonly number[];
}

/** A file beside the manifest. */
export interface FamilyFile {
  /** Relative to the folder of the manifest. */
  readonly file: string;
  readonly bytes: number;
  /** Hexadecimal. */
  readonly sha256: string;
}

/** What the manifest of an export says of a model, as far as a browser reads it. */
export interface FamilyModel extends FamilyFile {
  /** The weights, where the model does not hold them itself. */
  readonly externalData: FamilyFile | null;
  readonly width: number;
  /** Of the width, such as `w0.50`. */
  readonly label: string;
  readonly precision: string;
  /** Side of the images in pixels where it is not that of the run. */
  readonly size: number | null;
  readonly inputs: readonly ModelTensor[];
  readonly outputs: readonly ModelTensor[];
  readonly preprocessing: ModelPreprocessing;
  readonly parameters: number;
  /** Of one image. */
  readonly multiplyAdds: number;
  /** Names in the order of the output `logits`; null without a classifier. */
  readonly classes: readonly string[] | null;
}

/** `manifest.json` of an export, as far as a browser reads it. */
export interface FamilyManifest {
  readonly kind: 'slimclr-export';
  readonly version: 1;
  readonly models: readonly FamilyModel[];
}

/** The manifest that a file holds. Throws a SlimclrError for another one. */
export function parseFamilyManifest(text: string, where: string): FamilyManifest {
  let manifest: Partial<FamilyManifest> | null;
  try {
    manifest = JSON.parse(text) as Partial<FamilyManifest> | null;
  } catch (cause) {
    throw new SlimclrError(`${where} is not JSON; accepted: the manifest.json of an export`, { cause });
  }
  const { kind, version, models } = manifest ?? {};
  if (kind !== 'slimclr-export' || version !== 1 || !Array.isArray(models)) {
    const what = `kind ${JSON.stringify(kind)}, version ${JSON.stringify(version)}`;
    throw new SlimclrError(
      `${where} has ${what}; accepted: kind "slimclr-export", version 1, with a list of models`,
    );
  }
  return manifest as FamilyManifest;
}
