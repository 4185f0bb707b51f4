import { viewSize, type Config } from '../../config/schema.js';
import type { ElementType, Engine, Memory, Place } from '../../engines/engine.js';
import type { Held, MicroBatch } from '../../methods/step.js';
import { once } from '../../once.js';
import { elementCount } from '../../onnx/model.js';

/** The tensors of a step's own, and what crosses between them and the host: images, classes, what a method asks for. */
export class StepTensors {
  readonly #named = new Map<string, Place>();

  constructor(
    readonly engine: Engine,
    readonly config: Config,
  ) {}

  /** Images of a micro-batch. */
  get batchSize(): number {
    return this.config.batchSize;
  }

  memory(name: string, shape: readonly number[]): Place {
    return once(this.#named, name, () => this.#allocate('float32', shape));
  }

  async view({ views }: MicroBatch, view: 0 | 1, slot = 0): Promise<Place> {
    const place = this.memory(`view.${slot}`, this.#imagesShape(1));
    await this.write(place, [views[view]]);
    return place;
  }

  async bothViews({ views }: MicroBatch): Promise<Place> {
    const place = this.memory('views', this.#imagesShape(2));
    await this.write(place, views);
    return place;
  }

  async classes({ labels }: MicroBatch): Promise<Place> {
    const place = once(this.#named, 'classes', () => this.#allocate('int64', [this.batchSize]));
    await this.engine.write(place.memory as Memory<'int64'>, BigInt64Array.from(labels!, BigInt));
    return place;
  }

  async read(tensor: Held): Promise<Float32Array> {
    const { memory, offset, shape } = tensor as Place<'float32'>;
    return (await this.engine.read(memory, offset, elementCount(shape))).slice();
  }

  async write(tensor: Held, parts: readonly Float32Array[]): Promise<void> {
    const { memory, offset } = tensor as Place<'float32'>;
    let at = offset;
    for (const values of parts) {
      await this.engine.write(memory, values, at);
      at += values.length;
    }
  }

  /** Of so many views of a micro-batch in one. */
  #imagesShape(views: number): readonly number[] {
    const size = viewSize(this.config);
    return [views * this.batchSize, this.config.data.channels, size, size];
  }

  #allocate(type: ElementType, shape: readonly number[]): Place {
    return { memory: this.engine.allocate(type, elementCount(shape)), offset: 0, shape };
  }
}
