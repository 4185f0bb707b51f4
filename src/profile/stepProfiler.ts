import { mkdtemp, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import type { Json } from '../readJson.js';
import { kernelTimeSchema, readTrace } from './trace.js';

/** Steps before the first one that counts: in them memory is allocated. */
const warmUpSteps = 2;
const profiledSteps = 10;

const graphSchema = z.object({
  name: z.string(),
  /** Runs a step. */
  runs: z.number(),
  /** Inside the runs. */
  milliseconds: z.number(),
  /** Inside the kernels of these runs, longest first; calls, too, are of one step. */
  kernels: z.array(kernelTimeSchema),
});

/** Where the time of a training step goes. All times are milliseconds a step, means over the steps. */
export const profileSchema = z.object({
  /** First step that counts, and how many do. */
  firstStep: z.int().min(0),
  steps: z.int().min(0),
  /** From asking for the batch to the end of the step. */
  milliseconds: z.number(),
  /** Waiting for the loader. */
  loader: z.number(),
  /** Neither in a run of ONNX Runtime nor waiting. */
  other: z.number(),
  graphs: z.array(graphSchema),
});

export type GraphProfile = Json<typeof graphSchema>;
export type Profile = Json<typeof profileSchema>;

export interface StepTime {
  readonly step: number;
  readonly seconds: number;
  readonly loaderSeconds: number;
}

interface Count {
  readonly runs: number;
  readonly seconds: number;
}

/** A graph whose runs are timed, and that writes a trace. */
export interface TracedGraph extends Count {
  /** Ends the trace of all runs so far; gives its path. */
  endTrace(): Promise<string>;
}

/** Watches the first steps of a training loop whose graphs write traces, and tells where their time went. */
export class StepProfiler {
  readonly #steps: StepTime[] = [];
  #seen = 0;
  /** Of each graph when the warm-up ended. */
  #before = new Map<string, Count>();

  private constructor(
    /** Folder that the graphs write traces to. */
    readonly traceFolder: string,
  ) {}

  static async open(runFolder: string): Promise<StepProfiler> {
    return new StepProfiler(await mkdtemp(join(runFolder, 'traces-')));
  }

  /** To be told of every step. */
  record(time: StepTime, graphs: ReadonlyMap<string, TracedGraph>): void {
    this.#seen += 1;
    if (this.#seen > warmUpSteps) this.#steps.push(time);
    else for (const [name, { runs, seconds }] of graphs) this.#before.set(name, { runs, seconds });
  }

  /** Whether all steps that count are done. */
  get complete(): boolean {
    return this.#steps.length === profiledSteps;
  }

  /** Removes the traces. */
  async close(): Promise<void> {
    await rm(this.traceFolder, { recursive: true, force: true });
  }

  /** Ends the traces and says where the time went; undefined when no step counts. */
  async profile(traced: ReadonlyMap<string, TracedGraph>): Promise<Profile | undefined> {
    const steps = this.#steps.length;
    if (steps === 0) return undefined;
    const graphs: GraphProfile[] = [];
    for (const [name, graph] of traced) {
      const before = this.#before.get(name)!;
      const kernels = await readTrace(await graph.endTrace(), before.runs);
      graphs.push({
        name,
        runs: (graph.runs - before.runs) / steps,
        milliseconds: ((graph.seconds - before.seconds) * 1000) / steps,
        kernels: kernels.map(({ calls, milliseconds, ...kernel }) => ({
          ...kernel,
          calls: calls / steps,
          milliseconds: milliseconds / steps,
        })),
      });
    }
    const mean = (key: 'seconds' | 'loaderSeconds') =>
      (this.#steps.reduce((sum, step) => sum + step[key], 0) * 1000) / steps;
    const milliseconds = mean('seconds');
    const loader = mean('loaderSeconds');
    const inRuns = graphs.reduce((sum, graph) => sum + graph.milliseconds, 0);
    return {
      firstStep: this.#steps[0]!.step,
      steps,
      milliseconds,
      loader,
      other: milliseconds - loader - inRuns,
      graphs,
    };
  }
}
