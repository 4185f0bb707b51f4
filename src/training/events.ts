import type { Config } from '../config/schema.js';

/** Losses of one width at one step, unweighted. */
export interface WidthLoss {
  readonly loss: number;
  readonly infoNce: number;
  /** Absent for the full width and while distillation is off. */
  readonly distillation?: number;
}

/**
 * One line of `events.jsonl` in a run folder. Epochs and steps count from 0; `step` counts over the whole
 * run; losses are keyed by width label (`w1.00`).
 */
export type TrainingEvent =
  | {
      readonly type: 'start';
      readonly version: string;
      readonly config: Config;
      readonly labels: readonly string[];
      readonly images: number;
      readonly stepsPerEpoch: number;
      /** Step from which a resumed run goes on; 0 for a new one. */
      readonly step: number;
    }
  | { readonly type: 'skipped'; readonly path: string; readonly reason: string }
  | {
      readonly type: 'step';
      readonly epoch: number;
      readonly step: number;
      readonly learningRate: number;
      readonly losses: Readonly<Record<string, WidthLoss>>;
      /** Wall time of this step, of it inside ONNX Runtime, of it waiting for the loader. */
      readonly seconds: number;
      readonly computeSeconds: number;
      readonly loaderSeconds: number;
    }
  | { readonly type: 'checkpoint'; readonly epoch: number; readonly step: number; readonly file: string }
  /** `file` holds a `Profile` of the steps before. */
  | { readonly type: 'profile'; readonly step: number; readonly file: string }
  | {
      readonly type: 'stop';
      readonly reason: 'done' | 'interrupted' | 'diverged';
      readonly step: number;
      /** Seconds of this process, start to stop. */
      readonly seconds: number;
      readonly message?: string;
    };

/** An event as it stands in the file: with the time it was written (ISO 8601). */
export type LoggedEvent = TrainingEvent & { readonly time: string };
