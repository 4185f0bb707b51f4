import { Measurements } from '../../training/measurements.js';
import type { BestMark } from '../../training/checkpointIndex.js';
import type { LoggedEvent } from '../../training/events.js';
import { collapseAlarms } from './collapseAlarms.js';
import { RecentSteps } from './recentSteps.js';

type EventOf<Type extends LoggedEvent['type']> = Extract<LoggedEvent, { type: Type }>;

/** Notices that are kept, the latest. */
const keptNotices = 5;
/** A run is silent when its last event is so many seconds old, and older than so many of its steps take. */
const silentSeconds = 60;
const silentSteps = 20;

/** What the log of a run tells of it at a moment. Times are in seconds, losses and speed means of the latest steps. */
export interface RunSnapshot {
  /** As it was given. */
  readonly run: string;
  /**
   * `preparing`: its log has not begun; `silent`: nothing was logged for longer than steps take, it measures, waits or was
   * killed; else how it ended.
   */
  readonly state: 'preparing' | 'running' | 'silent' | EventOf<'stop'>['reason'];
  /** What the end of the run says of itself. */
  readonly message?: string;
  /** Since the last event. */
  readonly lastEvent: number | null;
  /** Since the process of the last start began, up to the last event. */
  readonly seconds: number;
  /** Done, of how many; epochs with the part of the one that has begun. */
  readonly step: number;
  readonly steps: number;
  readonly epoch: number;
  readonly epochs: number;
  /** Null before the first step and when it has ended. */
  readonly secondsLeft: number | null;
  /** The time left rests on a phase that has not begun: the widths below 1 do not train yet. */
  readonly isEstimated: boolean;
  readonly imagesPerSecond: number | null;
  readonly learningRate: number | null;
  /** The method's own loss by width label; null before the first step. */
  readonly losses: { readonly term: string; readonly widths: Readonly<Record<string, number>> } | null;
  /** The latest measurement of the monitor; null without one. */
  readonly knn: KnnSnapshot | null;
  /** Bytes of memory of the process that trains; null where the log does not tell. */
  readonly memory: number | null;
  /** The latest checkpoint, and the age of its event; null when there is none. */
  readonly checkpoint: { readonly step: number; readonly file: string; readonly age: number } | null;
  /** Steps skipped for an overflow and files passed over, since the last start. */
  readonly overflows: number;
  readonly skipped: number;
  /** What a person should know, the latest last. */
  readonly notices: readonly string[];
}

export interface KnnSnapshot {
  /** Steps done when it was measured. */
  readonly step: number;
  /** Top-1 by width label, a share, and what it has changed by since the measurement before; null for the first. */
  readonly widths: Readonly<Record<string, { readonly top1: number; readonly change: number | null }>>;
  /** The best so far. */
  readonly best: BestMark;
  /** Measurements in a row without improvement, and after how many training ends; 0: it does not. */
  readonly without: number;
  readonly patience: number;
}

/** Takes the events of a log, as far as a snapshot needs them. */
export class SnapshotBuilder {
  #start: EventOf<'start'> | undefined;
  #steps: RecentSteps | undefined;
  #knn: EventOf<'knn'>[] = [];
  #checkpoint: EventOf<'checkpoint'> | undefined;
  #stop: EventOf<'stop'> | undefined;
  #skipped = new Set<string>();
  #notices: string[] = [];
  /** When the last event was written, in milliseconds. */
  #latest: number | null = null;

  constructor(private readonly run: string) {}

  add(event: LoggedEvent): void {
    this.#latest = Date.parse(event.time);
    switch (event.type) {
      case 'start':
        this.#start = event;
        this.#steps = new RecentSteps(event);
        this.#stop = undefined;
        this.#skipped = new Set();
        this.#notices = [];
        this.#knn = this.#knn.filter(({ step }) => step < event.step);
        if (this.#checkpoint && this.#checkpoint.step > event.step) this.#checkpoint = undefined;
        break;
      case 'step':
        this.#steps?.record(event);
        break;
      case 'knn':
        this.#knn.push(event);
        break;
      case 'checkpoint':
        this.#checkpoint = event;
        break;
      case 'skipped':
        this.#skipped.add(event.path);
        break;
      case 'diagnostics':
        for (const alarm of collapseAlarms(event.diagnostics.features))
          this.#notice(`step ${event.step + 1}: ${alarm}`);
        break;
      case 'notice':
        this.#notice(event.message);
        break;
      case 'stop':
        this.#stop = event;
        break;
    }
  }

  #notice(message: string): void {
    this.#notices = [...this.#notices, message].slice(-keptNotices);
  }

  /** `now` in milliseconds, like `Date.now`. */
  build(now: number): RunSnapshot {
    const [start, steps, stop] = [this.#start, this.#steps, this.#stop];
    const last = steps?.last;
    const done = stop?.step ?? (last ? last.step + 1 : (start?.step ?? 0));
    const since = (time: string) => Math.max(0, now - Date.parse(time)) / 1000;
    const lastEvent = this.#latest === null ? null : Math.max(0, now - this.#latest) / 1000;
    const isSilent =
      lastEvent !== null && lastEvent > Math.max(silentSeconds, silentSteps * (last?.seconds ?? 0));
    const losses = steps?.losses();
    return {
      run: this.run,
      state: stop?.reason ?? (start === undefined ? 'preparing' : isSilent ? 'silent' : 'running'),
      ...(stop?.message !== undefined && { message: stop.message }),
      lastEvent,
      seconds: start && this.#latest !== null ? Math.max(0, this.#latest - Date.parse(start.time)) / 1000 : 0,
      step: done,
      steps: steps?.total ?? 0,
      epoch: start ? done / start.stepsPerEpoch : 0,
      epochs: start?.config.epochs ?? 0,
      secondsLeft: stop ? null : (steps?.secondsLeft() ?? null),
      isEstimated: steps?.isEstimated ?? false,
      imagesPerSecond: steps?.imagesPerSecond() ?? null,
      learningRate: last?.learningRate ?? null,
      losses: losses ? { term: losses.term, widths: losses.means } : null,
      knn: this.#measured(),
      memory: last?.memory ?? null,
      checkpoint: this.#checkpoint
        ? { step: this.#checkpoint.step, file: this.#checkpoint.file, age: since(this.#checkpoint.time) }
        : null,
      overflows: steps?.overflows ?? 0,
      skipped: this.#skipped.size,
      notices: this.#notices,
    };
  }

  #measured(): KnnSnapshot | null {
    const [before, latest] = [this.#knn.at(-2), this.#knn.at(-1)];
    if (!latest || this.#start?.config.monitor.kind !== 'knn') return null;
    const { config, stepsPerEpoch } = this.#start;
    const measurements = new Measurements(config, stepsPerEpoch);
    for (const event of this.#knn) measurements.add(event);
    const widths = Object.entries(latest.accuracies).map(([label, { top1 }]) => {
      const earlier = before?.accuracies[label]?.top1;
      return [label, { top1, change: earlier === undefined ? null : top1 - earlier }];
    });
    return {
      step: latest.step + 1,
      widths: Object.fromEntries(widths) as KnnSnapshot['widths'],
      best: measurements.best!,
      without: measurements.without,
      patience: this.#start.config.monitor.patience,
    };
  }
}
