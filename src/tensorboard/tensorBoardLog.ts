import { closeSync, mkdirSync, openSync, readdirSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import type { TrainingEvent } from '../training/events.js';
import { encodeEvent, type EventContent } from './event.js';
import { encodeRecord } from './record.js';
import { pointsOf } from './scalars.js';

const prefix = 'events.out.tfevents.';

/**
 * Writes training events as curves for TensorBoard into the folder `tensorboard/` of a run. Every process writes a
 * file of its own; TensorBoard reads those of a folder one after another, and a start event makes it drop the steps
 * of an earlier file that a resumed run does again. An event is written at once: a killed process loses none but the
 * one it was writing.
 */
export class TensorBoardLog {
  readonly #file: number;
  /** Images of a step. */
  #batch = 0;

  constructor(runFolder: string) {
    const folder = join(runFolder, 'tensorboard');
    mkdirSync(folder, { recursive: true });
    this.#file = openSync(join(folder, fileName(readdirSync(folder))), 'ax');
    this.#write(0, { kind: 'version' });
  }

  write(event: TrainingEvent): void {
    if (event.type === 'start') {
      this.#batch = event.config.batchSize * event.config.accumulation;
      this.#write(event.step, { kind: 'start' });
      return;
    }
    const points = pointsOf(event, this.#batch);
    if (points) this.#write(points.step, { kind: 'scalars', scalars: points.scalars });
  }

  close(): void {
    closeSync(this.#file);
  }

  #write(step: number, content: EventContent): void {
    writeSync(this.#file, encodeRecord(encodeEvent(Date.now() / 1000, step, content)));
  }
}

/** Named by the time, but after all that are there: TensorBoard reads files in the order of their names. */
function fileName(others: readonly string[]): string {
  const times = others
    .filter((name) => name.startsWith(prefix))
    .map((name) => Number.parseInt(name.slice(prefix.length)))
    .filter(Number.isFinite);
  const time = Math.max(Math.floor(Date.now() / 1000), ...times.map((time) => time + 1));
  return `${prefix}${time}.slimclr`;
}
