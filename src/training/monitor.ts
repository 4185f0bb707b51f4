import type { Config } from '../config/schema.js';
import type { TrainingImages } from '../data/trainingImages.js';
import type { TensorData } from '../onnx/safetensors.js';

/** Accuracy of a width, as shares. */
interface Accuracy {
  readonly top1: number;
  readonly top5: number;
}

/** Measures an encoder in training. It shares no state and no randomness with it. */
export interface Monitor {
  /**
   * Accuracies by width label under these weights, row-major and at full width; they are only read. Aborting `signal`
   * ends it with its reason.
   */
  evaluate(
    weights: ReadonlyMap<string, TensorData>,
    signal?: AbortSignal,
  ): Promise<Readonly<Record<string, Accuracy>>>;
  close(): Promise<void>;
}

export interface MonitorOptions {
  /** The images of the config, which are open. */
  readonly images?: TrainingImages;
  readonly cacheDirectory?: string;
  readonly onProgress?: (message: string) => void;
  readonly signal?: AbortSignal;
}

/** Opens the monitor that a config names. */
export type OpenMonitor = (config: Config, options: MonitorOptions) => Promise<Monitor>;
