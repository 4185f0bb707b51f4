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

/** A candidate must take so much less time than what it replaces, in two measurements, or noise would choose. */
const margin = 0.95;
/** A layer's share of a step below which nothing is gained by measuring it. */
const smallestShare = 0.004;
/** Maps of so many positions may lie in either layout: larger ones are not folded, smaller ones not blocked. */
const eitherLayout = { fewest: 16, most: 784 };
/** Winograd is tried where its estimated time over the direct one lies between; the estimate is surer elsewhere. */
const openWinograd = { least: 0.6, most: 1.2 };
/** The layers over a map are measured until those that are done decide by so much of the estimated whole. */
const decisive = 0.1;
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
    const layers = counted(question.convolutions).filter((layer) => totalCost(layer) >= this.#smallest);
    const folds = new Map(
      graph.map((other) => [size(other.map), this.#folded[this.#key(other)] ?? this.#base(other)]),
    );
    const at = size(question.map);
    const base = this.#base(question);
    const positions = question.map.height * question.map.width;
    if (base || positions <= eitherLayout.most) {
      for (const { conv } of layers) {
        for (const part of parts) await this.#chooseWinograd({ conv, part }, new Map([...folds, [at, true]]));
      }
    }
    const open =
      positions >= eitherLayout.fewest &&
      positions <= eitherLayout.most &&
      !layers.some(({ conv }) => winogradRatio(conv) < openWinograd.least);
    const ways = [base, !base].map((f) => new Map([...folds, [at, f]]));
    const other = open && (await this.#faster(layers, ways)) && (await this.#faster(layers, ways));
    const folded = other ? !base : base;
    this.#folded[key] = folded;
    for (const { conv } of layers) await this.#chooseChunk(conv, new Map([...folds, [at, folded]]));
  }

  async #chooseWinograd(layer: Layer, folds: Folds): Promise<void> {
    const { bench } = this.options;
    const ratio = winogradRatio(layer.conv);
    if (ratio < openWinograd.least || ratio > openWinograd.most) return;
    const choices = this.#choices(folds);
    const [question] = bench.asked(layer, choices).parts;
    if (!question) return;
    const key = partKey(question.conv, question.part);
    if (key in this.#winograd || this.#late()) return;
    const answers = [question.winograd, !question.winograd];
    const candidates = answers.map((winograd) => ({ ...choices, winograd: () => winograd }));
    this.#winograd[key] = answers[await this.#fastest(layer, candidates)]!;
  }

  async #chooseChunk(conv: ConvSize, folds: Folds): Promise<void> {
    const { bench } = this.options;
    const layer = { conv, part: 'weightGradient' } as const;
    const choices = this.#choices(folds);
    const [question] = bench.asked(layer, choices).chunks;
    if (!question) return;
    const key = convKey(question.conv);
    if (key in this.#chunk || this.#late()) return;
    const answers = chunksNear(question.chunk, question.conv.batch);
    const candidates = answers.map((chunk) => ({ ...choices, chunk: () => chunk }));
    this.#chunk[key] = answers[await this.#fastest(layer, candidates)]!;
  }

  /** Index of the fastest candidate; 0 unless another one is faster by the margin, and is so again. */
  async #fastest(layer: Layer, candidates: readonly Choices[]): Promise<number> {
    const { bench } = this.options;
    const times = await bench.times(layer, candidates);
    const best = times.indexOf(Math.min(...times));
    if (times[best]! >= margin * times[0]!) return 0;
    const [now, then] = await bench.times(layer, [candidates[0]!, candidates[best]!]);
    return then! < margin * now! ? best : 0;
  }

  /** Whether the layers over a map, together, are faster the second way to fold than the first. */
  async #faster(layers: readonly CountedLayer[], ways: readonly Folds[]): Promise<boolean> {
    const costliest = layers.toSorted((a, b) => totalCost(b) - totalCost(a));
    const whole = sum(layers.map(totalCost));
    const totals = [0, 0];
    let done = 0;
    for (const layer of costliest) {
      if (this.#late()) return false;
      const candidates = ways.map((folds) => this.#choices(folds));
      const times = await this.options.bench.times({ conv: layer.conv, part: 'whole' }, candidates);
      for (const [i, time] of times.entries()) totals[i]! += layer.count * time;
      done += totalCost(layer);
      const estimated = (totals[0]! * whole) / done;
      if (done > whole / 3 && Math.abs(totals[1]! - totals[0]!) > decisive * estimated) break;
    }
    return totals[1]! < margin * totals[0]!;
  }

  /** What is chosen so far, for a graph whose maps are folded by size. */
  #choices(folds: Folds): Choices {
    const { base } = this.options;
    const table = { folded: {}, winograd: this.#winograd, chunk: this.#chunk };
    const rest = tableChoices(table, base);
    return { ...rest, folded: (map, over) => folds.get(size(map)) ?? rest.folded(map, over) };
  }

  #base({ map, convolutions }: MapQuestion): boolean {
    return this.options.base.folded(map, convolutions);
  }

  #key({ map, convolutions }: MapQuestion): string {
    return mapKey(map, convolutions);
  }

  #late(): boolean {
    return this.#now() > this.#end;
  }
}

/** A chunk and, after it, those within a factor of four that divide the batch, 8 at most. */
function chunksNear(chunk: number, batch: number): number[] {
  const others = [chunk / 4, chunk / 2, chunk * 2, chunk * 4];
  return [chunk, ...others.filter((other) => Number.isInteger(other) && other <= 8 && batch % other === 0)];
}

function totalCost({ conv, count }: CountedLayer): number {
  return count * cost(conv);
}

/** Each kind of layer once. */
function counted(convolutions: readonly ConvSize[]): CountedLayer[] {
  const layers = new Map<string, CountedLayer>();
  for (const conv of convolutions) {
    const key = convKey(conv);
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
