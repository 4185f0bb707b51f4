import type { Notices } from '../keep.js';
import type { InputOptions } from './fixedInputs.js';

export interface CheckOptions extends InputOptions, Notices {
  /**
   * Images that the models run on, a data set or a folder. Default: those of the golden folder; else those of the run,
   * where the models are of one; else drawn ones.
   */
  readonly images?: string;
  /** Largest difference of an output, relative to its largest element; default: the golden folder's, by precision. */
  readonly tolerance?: number;
  /** Labelled images for kNN, a data set or a folder with one folder a class; default: no kNN. */
  readonly labelled?: string;
  /** Label file of these images, CSV or JSON; default: its folders are the classes. */
  readonly labels?: string;
  /** At most this many labelled images; default 2000, 0: all. */
  readonly limit?: number;
  /** The output that kNN takes; default: `features`, else the first with a row of floats an image. */
  readonly features?: string;
  /** Points of kNN accuracy, of 100, that a model may lose; default 0.5. */
  readonly drop?: number;
  /** How much larger than the golden model one may be; default 1.01. */
  readonly bytesRatio?: number;
  /** How much slower than the golden model one may be; default 1.25. */
  readonly latencyRatio?: number;
  /** Whether to measure latency; default true. */
  readonly latency?: boolean;
  /** Threads of a model; 0: one a core; default 1, which depends least on what else runs. */
  readonly threads?: number;
  readonly cacheDirectory?: string;
  readonly onProgress?: (message: string) => void;
}

export interface UpdateOptions extends CheckOptions {
  /** Whether the golden folder keeps the models themselves, which latency needs; default true. */
  readonly keepModels?: boolean;
}
