import {
  mapKey,
  convKey,
  partKey,
  tableChoices,
  winogradRatio,
  type Choices,
  type ChoiceTable,
  type ConvPart,
  type ConvSize,
  type RecordedChoices,
} from '../targets/cpu/choices.js';
import { readsPicture, type Layer } from './layer.js';
import type { LayerBench } from './layerBench.js';

/** A map that the lowering of a graph asked about, and the convolutions over it, one for each layer. */
export type MapQuestion = RecordedChoices['maps'][number];

export interface TuneOptions {
  /** Channels of a block. */
  readonly block: number;
  /** The maps of each graph of a training step. */
  readonly graphs: readonly (readonly MapQuestion[])[];
  /** What a candidate must beat. */
  readonly base: Choices;
  /** What is known already. */
  readonly known: ChoiceTable;
  readonly bench: LayerBench;
  /** Called with the share that is done, 0 to 1. */
  readonly onProgress?: (share: number) => void;
  /** Milliseconds; when they are over, what is not measured yet stays as it is. */
  readonly budget?: number;
  readonly now?: () => number;
}

/** A candidate must take so much less time than what it replaces, or noise would choose. */
const margin = 0.95;
/** A layer's share of a step below which nothing is gained by measuring it. */
const smallestShare = 0.002;
/** A map of more positions has nothing to win from being folded but Winograd. */
const mostFolded = 256;
/** One of fewer has blocked convolutions that are far slower. */
const fewestBlocked = 16;
/** Winograd is not tried where it is estimated to take so many times as long. */
const hopelessWinograd = 1.4;
const chunks = [1, 2, 4, 8];
const parts: readonly ConvPart[] = ['forward', 'inputGradient', 'weightGradient'];

/**
 * Measures the choices that the cpu target has for the layers of a training step. Returns those that a measurement
 * changed or confirmed; whatever is not in the table is best left as it is.
 */
export async function tune(options: TuneOptions): Promise<ChoiceTable> {
  return new Tuning(options).run();
}

interface CountedLayer {
  readonly conv: ConvSize;
  readonly count: number;
}

type Folds = ReadonlyMap<string, boolean>;

class Tuning {
  readonly #folded: Record<string, boolean>;
  readonly #winograd: Record<string, boolean>;
  readonly #chunk: Record<string, number>;
  readonly #end: number;
  readonly #smallest: number;

  constructor(private readonly options: TuneOptions) {
    const { known, budget = Infinity, graphs } = options;
    this.#folded = { ...known.folded };
    this.#winograd = { ...known.winograd };
    this.#chunk = { ...known.chunk };
    this.#end = this.#now() + budget;
    const all = graphs.flat().flatMap(({ convolutions }) => convolutions);
    this.#smallest = smallestShare * sum(all.map(cost));
  }

  async run(): Promise<ChoiceTable> {
    const { graphs, onProgress } = this.options;
    const costs = graphs.map((maps) => maps.map(({ convolutions }) => sum(convolutions.map(cost))));
    const total = sum(costs.flat());
    let done = 0;
    for (const [i, maps] of graphs.entries()) {
      for (const [j, map] of maps.entries()) {
        onProgress?.(done / total);
        await this.#map(map, maps);
        done += costs[i]![j]!;
      }
    }
    return { folded: this.#folded, winograd: this.#winograd, chunk: this.#chunk };
  }

  #now(): number {
    return (this.options.now ?? (() => performance.now()))();
  }

  async #map(question: MapQuestion, graph: readonly MapQuestion[]): Promise<void> {
    const key = this.#key(question);
    if (key in this.#folded) return;
    const layers = counted(question.convolutions, this.options.block).filter(
      ({ conv, count }) => count * cost(conv) >= this.#smallest,
    );
    const folds = new Map(
      graph.map((other) => [size(other.map), this.#folded[this.#key(other)] ?? this.#base(other)]),
    );
    const at = size(question.map);
    const base = this.#base(question);
    const worthTrying = layoutsWorthTrying(question);
    if (worthTrying.includes(true)) {
      for (const { conv } of layers) {
        for (const part of parts) await this.#chooseWinograd({ conv, part }, new Map([...folds, [at, true]]));
      }
    }
    let folded = base;
    if (worthTrying.includes(!base)) {
      const [now, other] = await this.#wholeTimes(layers, [
        new Map([...folds, [at, base]]),
        new Map([...folds, [at, !base]]),
      ]);
      if (other! < margin * now!) folded = !base;
    }
    this.#folded[key] = folded;
    for (const { conv } of layers) await this.#chooseChunk(conv, new Map([...folds, [at, folded]]));
  }

  async #chooseWinograd(layer: Layer, folds: Folds): Promise<void> {
    const { bench, block } = this.options;
    if (winogradRatio(layer.conv) > hopelessWinograd || this.#late()) return;
    const choices = this.#choices(folds);
    const [question] = bench.asked(layer, choices).parts;
    if (!question) return;
    const key = partKey(question.conv, question.part, block);
    if (key in this.#winograd) return;
    const other = { ...choices, winograd: () => !question.winograd };
    const [now, then] = await bench.times(layer, [choices, other]);
    this.#winograd[key] = then! < margin * now! ? !question.winograd : question.winograd;
  }

  async #chooseChunk(conv: ConvSize, folds: Folds): Promise<void> {
    const { bench, block } = this.options;
    if (this.#late()) return;
    const layer = { conv, part: 'weightGradient' } as const;
    const choices = this.#choices(folds);
    const [question] = bench.asked(layer, choices).chunks;
    if (!question) return;
    const key = convKey(question.conv, block);
    if (key in this.#chunk) return;
    const { batch } = question.conv;
    const others = chunks.filter((chunk) => chunk !== question.chunk && batch % chunk === 0);
    const candidates = [question.chunk, ...others];
    const times = await bench.times(
      layer,
      candidates.map((chunk) => ({ ...choices, chunk: () => chunk })),
    );
    const fastest = Math.min(...times);
    this.#chunk[key] = fastest < margin * times[0]! ? candidates[times.indexOf(fastest)]! : question.chunk;
  }

  /** Sum over all layers, for each way to fold. */
  async #wholeTimes(layers: readonly CountedLayer[], candidates: readonly Folds[]): Promise<number[]> {
    const totals = candidates.map(() => 0);
    for (const { conv, count } of layers) {
      if (this.#late()) return candidates.map(() => 0);
      const times = await this.options.bench.times(
        { conv, part: 'whole' },
        candidates.map((folds) => this.#choices(folds)),
      );
      for (const [i, time] of times.entries()) totals[i]! += count * time;
    }
    return totals;
  }

  /** What is chosen so far, for a graph whose maps are folded by size. */
  #choices(folds: Folds): Choices {
    const { block, base } = this.options;
    const table = { folded: {}, winograd: this.#winograd, chunk: this.#chunk };
    const rest = tableChoices(table, block, base);
    return { ...rest, folded: (map, over) => folds.get(size(map)) ?? rest.folded(map, over) };
  }

  #base({ map, convolutions }: MapQuestion): boolean {
    return this.options.base.folded(map, convolutions);
  }

  #key({ map, convolutions }: MapQuestion): string {
    return mapKey(map, convolutions, this.options.block);
  }

  #late(): boolean {
    return this.#now() > this.#end;
  }
}

function layoutsWorthTrying({ map: { height, width }, convolutions }: MapQuestion): boolean[] {
  const positions = height * width;
  const fold = positions <= mostFolded || convolutions.some((conv) => winogradRatio(conv) < 1);
  return [...(fold ? [true] : []), ...(positions >= fewestBlocked ? [false] : [])];
}

/** Each kind of layer once. */
function counted(convolutions: readonly ConvSize[], block: number): CountedLayer[] {
  const layers = new Map<string, CountedLayer>();
  for (const conv of convolutions) {
    const key = convKey(conv, block);
    layers.set(key, { conv, count: (layers.get(key)?.count ?? 0) + 1 });
  }
  return [...layers.values()];
}

/** Rough seconds of all parts of a convolution and the passes over its maps. */
function cost(conv: ConvSize): number {
  const { batch, inputs, outputs, kernel, stride, height, width } = conv;
  const positions = batch * height * width;
  const products = (readsPicture(conv) ? 2 : 3) * 2 * positions * inputs * outputs * kernel ** 2;
  const elements = positions * (inputs * stride ** 2 + outputs);
  return products / 200e9 + (10 * 4 * elements) / 10e9;
}

function size({ height, width }: { readonly height: number; readonly width: number }): string {
  return `${height}x${width}`;
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}
